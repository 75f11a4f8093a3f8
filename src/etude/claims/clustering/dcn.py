"""Claims about the deep clustering network."""

from etude.claims.clustering.dec import MNIST, SEEDS, described, five_thousand, on_codes, pretrained, refined, whole
from etude.claims.lab import Finding, Lab, claim, spread


@claim(
    "k-means clusters better the codes that were drawn to its centroids than those of the autoencoder alone",
    source="Yang et al. 2017, table 5, on MNIST: ACC 0.83 for DCN",
    minutes=8,
)
def friendlier_codes(lab: Lab) -> Finding:
    images = whole(lab, "mnist")
    data = five_thousand(images)
    drawn, alone, information = [], [], []
    for seed in SEEDS:
        autoencoder = pretrained(lab, images, seed, MNIST)
        run = refined(lab, autoencoder, data, seed, "dcn", epochs=6)
        drawn.append(run.scores["clustering_accuracy"])
        information.append(run.scores["normalised_mutual_information"])
        alone.append(on_codes(autoencoder, data, seed))
    better = [a - b for a, b in zip(drawn, alone, strict=True)]
    numbers = {
        "ACC, DCN": spread(drawn),
        "ACC, k-means on the codes of the autoencoder": spread(alone),
        "difference, seed by seed": spread(better),
        "NMI, DCN": spread(information),
    }
    note = (
        "5,000 images of MNIST, from one autoencoder a seed that learned from all of them, 6 "
        f"passes in turns. It holds if the mean difference is above its standard error. {described(MNIST)}"
    )
    difference = numbers["difference, seed by seed"]
    return Finding(difference["mean"] > difference["deviation"] / len(better) ** 0.5, numbers, note)
