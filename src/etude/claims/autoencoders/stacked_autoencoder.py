"""Claims about the stacked denoising autoencoder."""

from etude.claims.lab import Finding, Lab, claim, spread


@claim(
    "pretraining layer by layer leads to a lower reconstruction error than training all layers from the start",
    source="Vincent et al. 2010, section 6; Xie et al. 2016, section 3.2",
    minutes=6,
)
def layers_first(lab: Lab) -> Finding:
    errors: dict[int, list[float]] = {10: [], 0: []}
    for seed in range(5):
        for layer_epochs, found in errors.items():
            run = lab.run(
                "stacked-autoencoder",
                "digits",
                hidden=(200, 200, 500),
                layer_epochs=layer_epochs,
                epochs=40 - layer_epochs,
                batch=32,
                rate=0.3,
                seed=seed,
            )
            found.append(run.scores["reconstruction_error"])
    numbers = {
        "reconstruction error, layers first": spread(errors[10]),
        "reconstruction error, all layers from the start": spread(errors[0]),
    }
    note = (
        "The embedded digits, held-out images; each weight has 40 passes: 10 within its layer and 30 together, or 40 "
        "together. Both start from weights of standard deviation 0.01, as the paper has them; batches of 32, at 3 "
        "times the paper's rate. It holds if every pretrained seed is better than every other."
    )
    return Finding(max(errors[10]) < min(errors[0]), numbers, note)
