"""Pictures that a generator made lately: Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4.

A discriminator that sees only the newest pictures forgets what it knew of earlier ones, and the generator comes back to
them. Shown some of the earlier ones too, it has to stay good at both.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class History(nn.Module):
    """Some of the pictures that came by, in buffers, so that a run goes on with them bit for bit.

    The first `size` pictures are stored and given back as they are. Then each picture is given back itself with
    probability 1/2; otherwise one of the stored, each as likely, is given back and the new one takes its place.

    Args:
        size: pictures to store.
        shape: (channels, height, width) of each.
    """

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.pictures = nn.Buffer(torch.zeros(size, *shape))
        self.stored = nn.Buffer(torch.tensor(0))

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        given = []
        for picture in x:
            stored = int(self.stored)
            if stored < len(self.pictures):
                self.pictures[stored] = picture
                self.stored.add_(1)
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(len(self.pictures), ()))
                new, picture = picture, self.pictures[place].clone()
                self.pictures[place] = new
            given.append(picture)
        return torch.stack(given)
