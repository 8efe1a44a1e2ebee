"""Labels from files in the layouts that others publish."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from desktop_scope.engine.types import FeatureId
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.marks import reading
from desktop_scope.evidence.marks.exporting import export_marks
from desktop_scope.evidence.marks.importing import import_labels
from desktop_scope.evidence.marks.store import label_value
from desktop_scope.evidence.marks.types import Kind, Mark
from desktop_scope.evidence.types import Source

MODEL = "smollm2-135m-instruct"
DOG = FeatureId(17, 3988)


@pytest.fixture
def catalogue(workbench):
    """The demo pack's; takes all marks back afterwards."""
    yield workbench.catalogue
    while workbench.catalogue.marks.undo():
        pass
    workbench.catalogue.marked()


def explanation(index: int = 3988, text: str = "dogs and their barking", **more) -> dict:
    """As Neuronpedia's exports have it."""
    return {
        "id": "cm3bz1d0s002",
        "modelId": MODEL,
        "layer": "17-demo-res-4k",
        "index": str(index),
        "description": text,
        "authorId": "clkht01d40000jv08hvalcvly",
        "triggeredByUserId": "clkht01d40000jv08hvalcvly",
        "notes": None,
        "typeName": "oai_token-act-pair",
        "explanationModelName": "gpt-4o-mini",
        "embedding": [0.1, 0.2],
        "umap_x": 0,
        **more,
    }


def write_lines(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(lines.encode()))
    return path


def test_neuronpedias_export(catalogue, tmp_path):
    folder = tmp_path / "v1" / MODEL / "17-demo-res-4k"
    write_lines(folder / "features" / "batch-0.jsonl.gz", {"index": "3988"})
    write_lines(
        folder / "explanations" / "batch-0.jsonl.gz",
        explanation(),
        explanation(text="another, later one"),
        explanation(4, "   "),
        explanation(5, "cats"),
        explanation(4096, "a feature too many"),
    )
    done = import_labels(catalogue, (folder,))
    assert (done.imported, done.skipped) == (2, 2)
    label = catalogue.label(DOG)
    assert (label.text, label.source) == ("dogs and their barking", Source.IMPORTED)
    assert label.origin == "Neuronpedia: gpt-4o-mini, oai_token-act-pair"
    assert catalogue.evidence[17].matching("barking")[DOG.index]
    assert catalogue.marks.undo() == "importing 17-demo-res-4k"
    catalogue.marked()
    assert catalogue.label(DOG).source is not Source.IMPORTED


def test_neuronpedias_api_takes_the_best_scored(catalogue, tmp_path):
    feature = {
        "modelId": MODEL,
        "layer": "17-demo-res-4k",
        "index": "3988",
        "maxActApprox": 40.8,
        "frac_nonzero": 0.0009,
        "pos_str": [" dogs"],
        "pos_values": [1.2],
        "activations": [{"tokens": ["a", " dog"], "values": [0, 40.8], "maxValue": 40.8}],
        "explanations": [
            {"id": "a", "description": "mammals", "scores": [{"value": 0.6}]},
            {"id": "b", "description": "dogs", "scores": [{"value": 0.9}], "notes": None},
        ],
        "source": {"id": "17-demo-res-4k", "setName": "demo-res-4k"},
    }  # fmt: skip
    path = tmp_path / "feature.json"
    path.write_text(json.dumps(feature))
    assert import_labels(catalogue, (path,)).imported == 1
    assert catalogue.label(DOG).text == "dogs"


def test_saedashboards_batch_is_named_by_its_strongest_tokens(catalogue, tmp_path):
    def activation(token: str, value: float) -> dict:
        return {
            "bin_min": -1, "bin_max": 99, "bin_contains": -1, "qualifying_token_index": 1,
            "tokens": ["The", token, " ran"], "values": [0.0, value, 0.1],
        }  # fmt: skip

    batch = {
        "model_id": MODEL,
        "layer": 17,
        "sae_set": "demo-res-4k",
        "sae_id_suffix": None,
        "features": [
            {
                "feature_index": 3988,
                "neg_str": [],
                "pos_str": [" dogs"],
                "frac_nonzero": 0.0009,
                "activations": [
                    activation(" Dog", 9.0), activation("▁dog", 8.0), activation(" puppy", 7.0),
                ],
            },
            {"feature_index": 7, "activations": []},
        ],
    }  # fmt: skip
    path = tmp_path / "batch-0.json"
    path.write_text(json.dumps(batch))
    done = import_labels(catalogue, (tmp_path,))
    assert (done.imported, done.skipped) == (1, 1)
    assert catalogue.label(DOG).text == "'dog', 'puppy'"


def test_a_table_of_ones_own(catalogue, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("\ufefflayer,index,label\n17,3988,“dogs”, their food\n17,x,cats\n99,1,birds\n")
    done = import_labels(catalogue, (path,))
    assert (done.imported, done.skipped) == (1, 2)
    assert catalogue.label(DOG).text.startswith("“dogs”")


def test_an_own_label_stays_before_an_imported_one(catalogue, tmp_path):
    key = catalogue.evidence[17].key
    mine = Mark(key, DOG.index, Kind.LABEL, Source.OWN, label_value("mine"))
    catalogue.marks.change("", [mine])
    import_labels(catalogue, (write_lines(tmp_path / "batch-0.jsonl.gz", explanation()),))
    assert catalogue.label(DOG).text == "mine"


def test_labels_for_another_model_are_refused_unless_wanted(catalogue, tmp_path):
    path = write_lines(tmp_path / "batch-0.jsonl.gz", explanation(modelId="gemma-2-2b"))
    with pytest.raises(ScopeError, match="labels for gemma-2-2b"):
        import_labels(catalogue, (path,))
    assert import_labels(catalogue, (path,), any_model=True).imported == 1


def test_bad_lines_are_counted(catalogue, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MOST_LINE_BYTES", 1000)
    good = json.dumps(explanation()).encode()
    lines = [b"{", b"[1]", b"null", b'{"description": 3}', b"x" * 5000, b"\xff\xfe", good]
    path = tmp_path / "batch-0.jsonl"
    path.write_bytes(b"\n".join(lines))
    done = import_labels(catalogue, (path,))
    assert (done.imported, done.skipped) == (1, 6)
    assert "lines that are too long" in " ".join(done.reasons)


def test_a_file_that_unpacks_without_end_is_refused(catalogue, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MOST_BYTES", 1 << 20)
    path = tmp_path / "batch-0.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * (8 << 20)))
    with pytest.raises(ScopeError, match="more than"):
        import_labels(catalogue, (path,))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl.gz", b"not gzip", "cannot be read: Not a gzipped file"),
        ("a.jsonl.gz", gzip.compress(b"{}" * 99, mtime=0)[:-9], "cannot be read"),
        ("a.json", b"{", "not JSON"),
        ("a.json", b"[]", "holds no labels"),
        ("a.csv", b"a,b\n1,2\n", "lacks a column"),
        ("a.csv", b"", "lacks a column"),
        ("a.jsonl", b"", "Nothing was imported"),
    ],
)
def test_what_holds_no_labels_is_told(catalogue, tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScopeError, match=said):
        import_labels(catalogue, (tmp_path / name,))


def test_a_folder_without_labels_is_told(catalogue, tmp_path):
    with pytest.raises(ScopeError, match="holds no labels"):
        import_labels(catalogue, (tmp_path,))


def test_what_is_exported_comes_back_whole(catalogue, tmp_path):
    marks, key = catalogue.marks, catalogue.evidence[17].key
    said = [
        Mark(key, 5, Kind.LABEL, Source.OWN, label_value("dogs “and”\ncats")),
        Mark(key, 5, Kind.LABEL, Source.MODEL, label_value("pets", "SmolLM2")),
        Mark(key, 5, Kind.NOTE, "", "barks, 犬"),
        Mark(key, 6, Kind.LIST, "pets"),
        Mark("of an SAE that is not open", 7, Kind.NOTE, "", "kept, too"),
    ]
    imported = Mark(key, 8, Kind.LABEL, Source.IMPORTED, label_value("not mine"))
    marks.change("", [*said, imported])
    path = tmp_path / "mine.jsonl"
    assert export_marks(marks, path) == len(said)
    assert '"model": "HuggingFaceTB/SmolLM2-135M-Instruct"' in path.read_text()
    marks.undo()
    assert list(marks.everything(list(Kind))) == []
    assert import_labels(catalogue, (path,)).imported == len(said)
    back = set(marks.everything(list(Kind)))
    assert back == set(said)


def test_lines_of_an_export_that_make_no_sense_are_counted(catalogue, tmp_path):
    path = tmp_path / "mine.jsonl"
    lines = ['{"format": "desktop-scope-marks/1"}', "{", '{"sae": "a", "kind": "verdict"}', "[]"]
    path.write_text("\n".join(lines))
    assert import_labels(catalogue, (path,)).skipped == 3
