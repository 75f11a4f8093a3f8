"""Claims about the deep clustering network."""

from etude.claims.clustering.dec import MNIST, PASSES, SEEDS, described, on_codes, pretrained, refined, whole
from etude.claims.lab import Finding, Lab, claim, clear, gain, spread


@claim(
    "k-means clusters better the codes that were drawn to its centroids than those of the autoencoder alone",
    source="Yang et al. 2017, table 5, on MNIST: ACC 0.83 for DCN",
    minutes=30,
)
def friendlier_codes(lab: Lab) -> Finding:
    data = whole(lab, "mnist")
    drawn, alone, information = [], [], []
    for seed in SEEDS:
        autoencoder = pretrained(lab, data, seed, MNIST)
        run = refined(lab, autoencoder, data, seed, "dcn", epochs=PASSES)
        drawn.append(run.scores["clustering_accuracy"])
        information.append(run.scores["normalised_mutual_information"])
        alone.append(on_codes(autoencoder, data, seed))
    numbers = {
        "ACC, DCN": spread(drawn),
        "ACC, k-means on the codes of the autoencoder": spread(alone),
        "NMI, DCN": spread(information),
    }
    numbers["difference, seed by seed"] = difference = gain(
        numbers["ACC, DCN"], numbers["ACC, k-means on the codes of the autoencoder"]
    )
    note = (
        f"{len(data.train):,} images of MNIST, from one autoencoder a seed, {PASSES} passes in turns. It holds if the "
        f"mean difference is above its standard error. {described(MNIST)}"
    )
    return Finding(clear(difference), numbers, note)
