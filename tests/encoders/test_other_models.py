"""Models of other families, languages and widths work by name."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cofm_sklearn import SentenceTransformerEncoder, ZeroShotPrior

TEXTS = [
    "the match ended two to one",
    "das Spiel endete zwei zu eins",
    "le match s'est terminé deux à un",
    "試合は二対一で終わった",
    "матч закончился со счётом два один",
]


def make_model(folder, family):
    """Save a tiny model of a family, with a tokenizer that splits all languages."""
    transformers = pytest.importorskip("transformers")
    library = pytest.importorskip("sentence_transformers")
    import torch
    from tokenizers import Tokenizer, pre_tokenizers, processors
    from tokenizers.models import Unigram

    signs = sorted({sign for text in TEXTS for sign in text} | {"▁"})
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [(piece, 0.0) for piece in special] + [(s, -3.0) for s in signs]
    tokenizer = Tokenizer(Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>"}
    names |= {"sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"],
        **names,
    )
    config_of, model_of = {
        "xlm-roberta": (transformers.XLMRobertaConfig, transformers.XLMRobertaModel),
        "mpnet": (transformers.MPNetConfig, transformers.MPNetModel),
        "modernbert": (transformers.ModernBertConfig, transformers.ModernBertModel),
    }[family]
    config = config_of(
        vocab_size=len(pieces),
        hidden_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=72,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_of(config).eval()
    model.save_pretrained(folder / "plain")
    fast.save_pretrained(folder / "plain")
    models = pytest.importorskip("sentence_transformers.models")
    body = models.Transformer(str(folder / "plain"), max_seq_length=64)
    pooling = models.Pooling(24, pooling_mode="mean")
    made = library.SentenceTransformer(modules=[body, pooling], device="cpu")
    made.save(str(folder / "model"))
    return folder / "model", made


@pytest.mark.parametrize("family", ["xlm-roberta", "mpnet", "modernbert"])
def test_by_name_they_equal_the_library(family, tmp_path, offline_hub):
    folder, model = make_model(tmp_path, family)
    name = f"intfloat/tiny-{family}"
    offline_hub(name, folder)
    encoder = SentenceTransformerEncoder(name, device="cpu")
    Z = encoder.transform(TEXTS)
    wanted = model.encode(TEXTS, normalize_embeddings=True)
    assert_allclose(Z, wanted, atol=1e-5)
    assert Z.shape == (5, 24)
    assert np.ptp(Z @ Z.T) > 0.05
    prior = ZeroShotPrior({"a": TEXTS[0], "b": TEXTS[3]}, encoder).fit(TEXTS)
    assert prior.predict([TEXTS[0], TEXTS[3]]).tolist() == ["a", "b"]
