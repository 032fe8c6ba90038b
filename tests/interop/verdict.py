"""What the checks in this folder answer: exit 0 where all agrees, or the number and sentence of what did not hold."""


class Failed(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def require(holds, code, message):
    if not holds:
        raise Failed(code, message)


def verdict(check, job):
    """The report of check(job, report), which fills the report in as it goes and raises what does not hold. 2: refused."""
    report = {"exit": 0, "message": "agrees"}
    try:
        check(job, report)
    except Failed as failure:
        report.update(exit=failure.code, message=str(failure))
    except Exception as error:
        report.update(exit=2, message=f"{type(error).__name__}: {error}"[:1000])
    return report
