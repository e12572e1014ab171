"""Decisions, order and errors in a workflow, where the values to decide on are not there yet."""

from redun import catch, cond, task, throw
from redun.forms import catch_all
from redun.functools import seq

redun_namespace = "redun.examples.control_flow"


@task()
def measure(station: str) -> float:
    """Return the temperature at a station, in degrees Celsius."""
    temperatures = {"coast": 19.5, "desert": 41.0, "summit": -3.5}
    if station not in temperatures:
        raise LookupError(f"station {station!r} does not answer")
    return temperatures[station]


@task()
def pack_coat(degrees: float) -> str:
    return f"a coat for {degrees} degrees"


@task()
def pack_hat(degrees: float) -> str:
    return f"a hat for {degrees} degrees"


@task()
def decide(station: str = "summit") -> str:
    """Choose what to pack: only the branch that is taken becomes a job."""
    degrees = measure(station)
    return cond(degrees < 10, pack_coat(degrees), degrees > 30, pack_hat(degrees), "nothing special")


@task()
def guess(error: LookupError) -> float:
    """Stand in for a measurement that failed."""
    return 20.0


@task()
def tolerate(station: str = "island") -> float:
    """Go on with a guess where a station is silent."""
    return catch(measure(station), LookupError, guess)


@task()
def keep_numbers(results: list) -> list[float]:
    return [result for result in results if not isinstance(result, Exception)]


@task()
def survey(stations: list[str] = ["coast", "island", "summit"]) -> list[float]:
    """Ask every station, then drop those that failed."""
    return catch_all([measure(station) for station in stations], LookupError, keep_numbers)


@task()
def explain(error: LookupError) -> float:
    """Turn an error into a better one."""
    return throw(RuntimeError(f"cannot plan the trip: {error}"))


@task()
def insist(station: str = "island") -> float:
    """Fail with an explanation."""
    return catch(measure(station), LookupError, explain)


@task()
def step(name: str) -> str:
    return name


@task()
def in_order() -> list[str]:
    """Start each step when the one before it has ended."""
    return seq([step("wake up"), step("pack"), step("leave")])


@task()
def main() -> dict:
    """Plan a trip."""
    return {
        "pack": [decide(station) for station in ["summit", "desert", "coast"]],
        "island": tolerate(),
        "steps": in_order(),
    }
