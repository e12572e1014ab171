"""Mean temperatures of weather stations, from objects on S3 to an object on S3."""

from redun import Dir, File, task

redun_namespace = "redun.examples.s3"


@task()
def mean(readings: File) -> float:
    values = [float(line) for line in readings.readlines()]
    return sum(values) / len(values)


@task()
def write_means(names: list[str], means: list[float], path: str) -> File:
    table = File(path)
    with table.open("w") as out:
        for name, value in zip(names, means, strict=True):
            out.write(f"{name},{value:.1f}\n")
    return table


@task()
def main(readings: Dir = Dir("s3://weather/readings"), out: str = "s3://weather/means.csv") -> File:
    files = readings.files()
    return write_means([file.basename() for file in files], [mean(file) for file in files], out)
