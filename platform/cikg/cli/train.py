"""`cikg train`: fit a recommender to a snapshot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, Progress, TextColumn

from cikg.cli._completion import completing
from cikg.cli._output import (
    dataset_option,
    json_option,
    messages,
    note,
    print_facts,
    print_json,
    print_table,
    progress_bar,
)
from cikg.cli.evaluate import with_deviation
from cikg.errors import InputError
from cikg.graph import Graph, connect
from cikg.graph.snapshot import Snapshot, open_snapshot, take
from cikg.progress import tell
from cikg.recommend import methods
from cikg.recommend.evaluation.places import check_selection
from cikg.recommend.evaluation.report import SHOWN, over_runs
from cikg.schema import uid
from cikg.settings import Settings, load_settings

if TYPE_CHECKING:
    from cikg.recommend.engine import Observer, Trained
    from cikg.recommend.method import Method, Search
    from cikg.recommend.tuning import Observer as TuningObserver
    from cikg.recommend.tuning import Tuned
    from cikg.recommend.workshop import Progress as Standing


@click.command("train")
@click.argument("method", required=False, shell_complete=completing(methods.names))
@dataset_option
@click.option(
    "--list", "list_methods", is_flag=True, help="List the methods, or with METHOD its hyperparameters, then exit."
)
@click.option("--seed", default=0, show_default=True, help="Random seed; with --seeds, the first of them.")
@click.option(
    "--seeds", default=1, show_default=True, type=click.IntRange(min=1), help="Number of seeds to train with."
)
@click.option("--tuned", is_flag=True, help="Use the best settings found by `cikg tune`; --set overrides them.")
@click.option(
    "--tune",
    "trials",
    type=click.IntRange(min=1),
    metavar="N",
    help="Tune over N configurations first, as `cikg tune` does.",
)
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Set a hyperparameter; can be repeated.")
@click.option("--epochs", type=click.IntRange(min=1), help="Maximum number of epochs.  [default: the method's own]")
@click.option("--patience", type=click.IntRange(min=1), help="Epochs without improvement before training stops.")
@click.option(
    "--metric",
    default="ndcg@50",
    show_default=True,
    metavar="NAME@K",
    help="Metric to select on, or a sum such as recall@50+ndcg@50.",
)
@click.option(
    "--protocol",
    type=click.Choice(["honest", "paper"]),
    default="honest",
    show_default=True,
    help="Select the epoch on valid, or on test as the published code does.",
)
@click.option(
    "--refit/--no-refit", default=True, show_default=True, help="Fit train and valid together after selection."
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "mixed"]),
    default="float32",
    show_default=True,
    help="mixed multiplies matrices in bfloat16: for GPUs, slower on CPUs.",
)
@click.option("--device", help="Device to train on: auto, cpu, cuda, cuda:1.  [default: CIKG_DEVICE, else auto]")
@click.option(
    "--snapshot",
    "snapshot_path",
    type=click.Path(path_type=Path),
    help="Train on this snapshot folder; needs no database.  [default: the dataset as it is now]",
)
@json_option
def command(
    *,
    method: str | None,
    dataset: str,
    list_methods: bool,
    seed: int,
    seeds: int,
    tuned: bool,
    trials: int | None,
    pairs: tuple[str, ...],
    metric: str,
    device: str | None,
    snapshot_path: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train METHOD on a dataset, selecting on its validation split.

    A repeated call finds the finished run; an interrupted one continues from its checkpoint. The test split stays
    closed until `cikg evaluate`. With --seeds, several runs are trained and summarised by mean and standard
    deviation. With --tune, settings are searched with the first seed, and every seed is trained with the best.

    Use `cikg jobs queue train …` to train on a worker.
    """
    if list_methods:
        _list(method, as_json=as_json)
        return
    if method is None:
        raise click.UsageError("Missing argument 'METHOD'; --list shows them all.")
    settings = with_device(load_settings(), device)
    check(method, overrides := overridden(pairs), metric)
    from cikg.recommend.distributed import follows  # noqa: PLC0415 - torch loads for seconds
    from cikg.recommend.engine import train  # noqa: PLC0415

    quiet = as_json or follows()
    snapshot = snapshot_of(settings, dataset, snapshot_path, quiet=quiet)
    if tuned or trials is not None:
        search = {
            "seed": seed,
            "metric": metric,
            "epochs": options["epochs"],
            "patience": options["patience"],
            "overrides": overrides,
        }
        overrides = _tuned(settings, snapshot, method, trials, search, quiet=quiet) | overrides
    trained = []
    for each in range(seed, seed + seeds):
        with watch(f"{method}, seed {each}" if seeds > 1 else method, quiet=quiet) as observer:
            options |= {"seed": each, "metric": metric}
            done = train(snapshot, method, settings=settings, overrides=overrides, observer=observer, **options)
        if snapshot_path is None and not follows():
            with connect(settings) as graph:
                register(graph, done)
        trained.append(done)
    if follows():
        return
    if seeds > 1:
        _report_seeds(trained, as_json)
    else:
        _report(trained[0], as_json)


def _tuned(
    settings: Settings, snapshot: Snapshot, method: str, trials: int | None, search: dict[str, Any], *, quiet: bool
) -> dict[str, Any]:
    """The settings that tuning found best: all tunings so far, or where trials are given this one."""
    from cikg.recommend.tuning import best, tune  # noqa: PLC0415

    if trials is None:
        found = best(settings, snapshot, method, search["metric"])
    else:
        with watch_trials(method, trials, [], quiet=quiet) as trying:
            found = tune(snapshot, method, settings=settings, trials=trials, observer=trying, **search)
    if not quiet:
        shown = " ".join(f"{name}={value}" for name, value in found.best.settings.items())
        messages.print(f"Tuned in {len(found.trials)} trials: {shown}")
        for warning in found.warnings:
            note(warning)
    return found.best.settings


def with_device(settings: Settings, device: str | None) -> Settings:
    """The settings, with another device to train on where one was named."""
    return settings if device is None else settings.model_copy(update={"device": device})


def overridden(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Hyperparameters by name, from `--set`.

    Raises:
        InputError: one has no value.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--set {pair!r} has no value", cure="Write --set learning_rate=0.001")
        found[name.strip().replace("-", "_")] = value.strip()
    return found


def check(method: str, overrides: dict[str, Any], metric: str) -> None:
    """Find wrong arguments before a snapshot is taken; as many as can be before torch is loaded."""
    methods.check(method)
    check_selection(metric)
    from cikg.recommend.method import configure  # noqa: PLC0415 - torch loads for seconds

    configure(method, overrides)


def snapshot_of(settings: Settings, dataset: str, path: Path | None, *, quiet: bool) -> Snapshot:
    """The snapshot in a folder, or one of the dataset as it is now."""
    if path is not None:
        return open_snapshot(path)
    with connect(settings) as graph:
        return take(graph, dataset, settings, partial(progress_bar, quiet=quiet))


def _list(only: str | None, *, as_json: bool) -> None:
    """All methods, or the hyperparameters of one."""
    from cikg.recommend.method import find  # noqa: PLC0415 - torch loads for seconds

    found = {name: find(name) for name in ([only] if only else methods.names())}
    if as_json:
        print_json({"methods": [_described(name, method) for name, method in found.items()]})
    elif only:
        method = found[only]
        rows = [
            [name, _default(field.default), _range(method.search.get(name)), field.description]
            for name, field in method.config.model_fields.items()
        ]
        about = f"{only}: {methods.summaries()[only]}"
        empty = f"{about} It has no hyperparameters."
        print_table(about, ["hyperparameter", "default", "tuned over", "meaning"], rows, fold=True, empty=empty)
    else:
        rows = [[name, methods.summaries()[name], method.paper] for name, method in found.items()]
        print_table("Methods", ["name", "what it is", "paper"], rows, fold=True)
        messages.print("`cikg train METHOD --list` shows the hyperparameters of one, which --set sets.")


def _described(name: str, method: Method) -> dict[str, Any]:
    """A method as `--json` shows it."""
    return {
        "name": name,
        "help": methods.summaries()[name],
        "paper": method.paper,
        "departures": method.departures,
        "settings": {
            key: {"default": field.default, "about": field.description, "searched": key in method.search}
            for key, field in method.config.model_fields.items()
        },
    }


def _default(value: Any) -> str:
    """A default as `--set` takes it; a dash where the method finds a value, or does without one."""
    if value is None or value == ():
        return "–"
    if isinstance(value, tuple):
        return ",".join(map(_default, value))
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def _range(search: Search | None) -> str:
    """Where `cikg tune` looks for a hyperparameter's value; nothing where it keeps the default."""
    if search is None:
        return ""
    return ", ".join(map(_default, search)) if isinstance(search, tuple) else f"{search.low:g} to {search.high:g}"


@contextmanager
def watch(method: str, *, quiet: bool) -> Iterator[Observer]:
    """A progress bar with loss, metric and time left."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[standing]}")
    with Progress(*columns, console=messages, disable=quiet) as bar:
        task = bar.add_task(method, total=None, standing="building")

        def observe(standing: Standing) -> None:
            bar.update(
                task,
                description=f"{method}: {standing.phase}",
                completed=standing.done,
                total=standing.total,
                standing=describe(standing),
            )
            tell(f"{method}: {standing.phase} {describe(standing)}")

        yield observe


@contextmanager
def watch_trials(method: str, trials: int, known: list[Tuned], *, quiet: bool) -> Iterator[TuningObserver]:
    """A bar of trials, with the best so far and the trial under way; keeps in `known` what was found last."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[standing]}")
    with Progress(*columns, console=messages, disable=quiet) as bar:
        task = bar.add_task(method, total=trials, standing="")

        def observe(done: int, found: Tuned | None, standing: Standing | None) -> None:
            known[:] = [found] if found else []
            best = f"  best {found.best.value:.4f}" if found else ""
            now = f"  trial: {describe(standing)}" if standing else ""
            bar.update(task, completed=done, standing=f"{done}/{trials}{best}{now}")
            tell(f"{method}: {done} of {trials} trials{best}{now}")

        yield observe


def describe(standing: Standing) -> str:
    """Loss, metric and time left, on one line."""
    parts = [f"{standing.done}/{standing.total}" if standing.total else str(standing.done)]
    parts += [f"{name} {loss:.4f}" for name, loss in standing.loss.items()]
    if standing.metric is not None and standing.best is not None:
        parts.append(f"valid {standing.metric:.4f} (best {standing.best:.4f})")
    if standing.seconds_left is not None:
        parts.append(f"≤ {standing.seconds_left:.0f} s left")
    return "  ".join(parts)


def register(graph: Graph, trained: Trained) -> None:
    """Make the run known to the graph, where the dashboard finds it."""
    manifest = trained.manifest
    properties = {
        "name": manifest["method"],
        "snapshot": manifest["snapshot"],
        "protocol": manifest["protocol"],
        "chosen_epoch": manifest["chosen_epoch"],
        "path": str(trained.path),
        "parameters": json.dumps(manifest["config"], sort_keys=True),
        "manifest": json.dumps(manifest, sort_keys=True, ensure_ascii=False),
        "curve": (trained.path / "curve.json").read_text(encoding="utf-8"),
        "valid": json.dumps(trained.valid, sort_keys=True),
    }
    graph.write(
        "upsert_training_run",
        run=uid(manifest["dataset"], trained.run_id),
        dataset=manifest["dataset"],
        id=trained.run_id,
        properties=properties,
        finished=manifest["trained_at"],
        seconds=manifest["timings"]["total"],
    )


def _facts(trained: Trained) -> dict[str, Any]:
    """A run as `--json` prints it."""
    manifest = trained.manifest
    return (
        {"run": trained.run_id, "path": str(trained.path), "reused": trained.reused}
        | {key: manifest[key] for key in ("method", "dataset", "snapshot", "protocol", "refit", "seed", "config")}
        | {key: manifest[key] for key in ("chosen", "chosen_epoch", "selected_on", "valid", "warnings", "notes")}
        | {key: manifest[key] for key in ("device", "timings", "peak_memory_mb", "departures")}
    )


def _report(trained: Trained, as_json: bool) -> None:
    manifest = trained.manifest
    if as_json:
        print_json(_facts(trained))
        return
    _warn(trained)
    print_facts(
        f"{trained.run_id}{' (already trained)' if trained.reused else ''}",
        {f"valid {name}": trained.valid[name] for name in SHOWN if name in trained.valid}
        | ({"chosen epoch": manifest["chosen_epoch"]} if manifest["chosen_epoch"] else {})
        | {f"chosen {name}": value for name, value in manifest["chosen"].items()}
        | {"protocol": manifest["protocol"], "refitted on train and valid": manifest["refit"]}
        | {"device": manifest["device"]}
        | {f"seconds, {phase}": seconds for phase, seconds in manifest["timings"].items()}
        | {"peak memory, MiB": round(manifest["peak_memory_mb"])},
    )
    messages.print(f"Next: cikg evaluate {trained.run_id}")


def _report_seeds(trained: list[Trained], as_json: bool) -> None:
    """Several seeds: each run, and the mean and standard deviation over them."""
    summary = over_runs([each.valid for each in trained])
    if as_json:
        print_json({"runs": [_facts(each) for each in trained], "valid": summary})
        return
    _warn(trained[0])
    manifest = trained[0].manifest
    rows: list[list[Any]] = [
        [name, *[each.valid[name] for each in trained], with_deviation(summary[name])]
        for name in SHOWN
        if name in summary
    ]
    rows.append(["seconds", *[round(each.manifest["timings"]["total"], 1) for each in trained], ""])
    refit = ", refitted" if manifest["refit"] else ""
    about = f"{manifest['method']} on {manifest['dataset']}, valid, {manifest['protocol']} protocol{refit}"
    print_table(about, ["", *[f"seed {each.manifest['seed']}" for each in trained], "mean ± sd"], rows, fold=True)
    messages.print(f"Next: cikg evaluate {' '.join(each.run_id for each in trained)}")


def _warn(trained: Trained) -> None:
    for remark in (*trained.manifest["warnings"], *trained.manifest["notes"]):
        note(remark)
