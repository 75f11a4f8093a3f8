"""Claims about sequence to sequence: sums as text, and what attention is worth in translation."""

from dataclasses import replace
from typing import Any

from etude.claims.lab import Finding, Lab, claim, clear, gain, spread
from etude.data import source
from etude.data.kinds import Splits, TextPairs
from etude.metrics.translation import corpus_bleu, translations

SEEDS = range(3)
SUMS: dict[str, Any] = {"embedding": 32, "hidden": 128, "layers": 1, "rate": 5e-3, "epochs": 30, "longest": 6}
SENTENCES: dict[str, Any] = {"block": "gru", "bidirectional": True, "reverse": False, "layers": 1}
SENTENCES |= {"embedding": 64, "hidden": 128, "rate": 3e-3, "epochs": 3, "batch": 64, "longest": 40}
PAIRS = 29_000  # of the training pairs, the first
BUCKETS = ("the shortest third", "the middle third", "the longest third")


@claim(
    "an encoder and a decoder learn to add: of sums of numbers of up to three digits that they never saw, at least "
    "99 % are right digit for digit",
    source="Zaremba and Sutskever 2014, section 4.2; the example addition_rnn of Keras: 99 % of the characters",
    minutes=15,
)
def addition(lab: Lab) -> Finding:
    runs = [lab.run("seq2seq", "addition", seed=seed, **SUMS) for seed in SEEDS]
    right = [100 * run.scores["exact_match"] for run in runs]
    counts = runs[0].record["counts"]
    return Finding(
        holds=min(right) >= 99,
        numbers={
            "sums right in %": spread(right),
            "characters right in %": spread(100 * run.scores["token_accuracy"] for run in runs),
            "minutes of training": spread(run.record["seconds"] / 60 for run in runs),
        },
        note=f"One layer of {SUMS['hidden']} LSTM units in each network, sources reversed, no attention, "
        f"{SUMS['epochs']} passes over {counts['train']:,} sums; scored on {counts['test']:,} others, the answer "
        "written without help. Holds if every seed reaches 99 %.",
    )


def bleu_by_length(system: Any, test: TextPairs) -> dict[str, float]:
    """BLEU of the whole split and of its thirds by the length of the source."""
    said, truth = translations(system, test)
    order = test.lengths.argsort(stable=True)
    thirds = dict(zip(BUCKETS, order.tensor_split(3), strict=True))
    groups = {name: places.tolist() for name, places in ({"all": order} | thirds).items()}
    return {name: corpus_bleu([said[i] for i in its], [truth[i] for i in its]) for name, its in groups.items()}


@claim(
    "attention translates better than a state of fixed size, and the longer the sentence the more",
    source="Bahdanau, Cho and Bengio 2015, section 5.1, table 1 and figure 2",
    minutes=30,
)
def attention_by_length(lab: Lab) -> Finding:
    splits: Splits = source.load("multi30k", data_dir=lab.data_dir)
    splits = replace(splits, train=splits.train[:PAIRS])
    test = splits.test
    assert isinstance(test, TextPairs)
    scores: dict[str, list[dict[str, float]]] = {}
    for attention in ("none", "bahdanau"):
        runs = [lab.run("seq2seq", splits, seed=seed, attention=attention, **SENTENCES) for seed in SEEDS]
        scores[attention] = [bleu_by_length(run.system, test) for run in runs]
    numbers: dict[str, Any] = {}
    for group in ("all", *BUCKETS):
        without, with_it = (spread(each[group] for each in scores[arm]) for arm in ("none", "bahdanau"))
        numbers |= {f"BLEU of {group}, without": without, f"BLEU of {group}, with": with_it}
        numbers[f"gain on {group}"] = gain(with_it, without)
    more = gain(numbers[f"gain on {BUCKETS[2]}"], numbers[f"gain on {BUCKETS[0]}"])
    numbers["gain on the longest above that on the shortest"] = more
    lengths = test.lengths.sort().values.tensor_split(3)
    edges = ", ".join(f"{int(third.min())} to {int(third.max())}" for third in lengths)
    note = (
        f"Multi30k, German to English, {len(splits.train):,} training pairs, {len(test):,} test pairs in thirds of "
        f"{edges} byte pairs; a bidirectional GRU of {SENTENCES['hidden']} units a direction reads, one of "
        f"{SENTENCES['hidden']} units writes, {SENTENCES['epochs']} passes, a beam of 2; both arms alike but for "
        "`attention`. The paper has 1,000 units, 348 million words and sentences of up to 50 words; here a run takes "
        "minutes on one core, so BLEU is far below what the data allow. BLEU by sacrebleu, 13a tokens, case kept. It "
        "holds if the gain on all, and what the longest third gains above the shortest, are above their standard error."
    )
    return Finding(clear(numbers["gain on all"]) and clear(more), numbers, note)
