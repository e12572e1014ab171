"""A brew day whose steps tell what they are doing: with print, with logging, and from a program that is no Python."""

import logging
import subprocess

from redun import script, task

redun_namespace = "redun.examples.output"

logging.basicConfig(format="%(levelname)s %(message)s")
logger = logging.getLogger("brewery")


@task()
def mash(malt_kg: float) -> float:
    """Returns litres of wort."""
    print(f"mashing {malt_kg:g} kg of malt")
    if malt_kg > 5:
        logger.warning("the mash tun is nearly full")
    return malt_kg * 4


@task(executor="process")
def weigh(hops: str) -> int:
    """Asks the scales, a program that writes to its standard output as it likes."""
    subprocess.run(["sh", "-c", f"echo scales: {hops} on the pan"], check=True)
    return len(hops) * 10


@task(retries=1)
def boil(litres: float, grams: int) -> str:
    print(f"boiling {litres:g} litres with {grams} g of hops")
    if grams > 60:
        print("the kettle boils over")
        raise ValueError("too many hops")
    return f"{litres * 0.9:g} litres of beer"


@task()
def main(malt_kg: float = 6.0, hops: str = "saaz") -> list:
    beer = boil(mash(malt_kg), weigh(hops))
    return [beer, script("echo label printed; echo low on ink >&2")]
