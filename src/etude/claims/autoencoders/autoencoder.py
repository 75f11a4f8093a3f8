"""Claims about the autoencoder."""

import numpy as np
from numpy.typing import NDArray

from etude.claims.lab import Finding, Lab, claim, spread
from etude.data.kinds import Images
from etude.engine.run import Run

LATENT = 4


@claim(
    "a linear autoencoder learns the subspace of a principal component analysis, but not its axes",
    source="Bourlard and Kamp 1988; Baldi and Hornik 1989",
    minutes=2,
)
def linear_is_pca(lab: Lab) -> Finding:
    from scipy.linalg import subspace_angles

    largest, between, excess = [], [], []
    for seed in range(5):
        run = lab.run(
            "autoencoder",
            "digits",
            hidden=(),
            output="linear",
            latent=LATENT,
            rate=1e-2,
            epochs=5000,
            batch=1257,
            seed=seed,
        )
        mean, axes, test = principal_axes(run)
        columns = run.system.get_parameter("decoder.0.weight").detach().double().numpy()
        largest.append(float(np.degrees(subspace_angles(columns, axes)[0])))
        cosines = np.abs((columns / np.linalg.norm(columns, axis=0)).T @ axes).max(1)
        between.append(float(np.degrees(np.arccos(cosines)).mean()))
        error = np.square((test - mean) - (test - mean) @ axes @ axes.T).sum(1).mean()
        excess.append(run.scores["reconstruction_error"] / error - 1)
    return Finding(
        holds=max(largest) < 1 and min(between) > 10,
        numbers={
            "largest principal angle in degrees": spread(largest),
            "mean angle of a code's axis to the nearest principal axis, in degrees": spread(between),
            "test reconstruction error beyond PCA's, as a share": spread(excess),
        },
        note=f"Digits, {LATENT} latents, no hidden layer, all 1,257 training examples in a batch, 5 seeds; both "
        "subspaces from the training data. Holds if the largest angle is below 1 degree and the axes are more "
        "than 10 degrees apart in every seed.",
    )


def principal_axes(run: Run) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The training data's mean (D,) and first principal axes (D, L), and the test data (n, D)."""
    splits = run.data()
    assert isinstance(splits.train, Images)
    assert isinstance(splits.test, Images)
    train, test = (part.x.flatten(1).double().numpy() / 255 for part in (splits.train, splits.test))
    mean = train.mean(0)
    return mean, np.linalg.svd(train - mean, full_matrices=False)[2][:LATENT].T, test
