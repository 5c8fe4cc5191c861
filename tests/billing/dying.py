"""Deaths: kill -9 as far as one process can play it, at any step of its work."""


class Killed(BaseException):
    """Nothing catches this, and open transactions are rolled back, as the database does for a process that is gone."""


class DyingAt:
    """Dies at the nth question to the database: `with connection.execute_wrapper(DyingAt(3)): …`"""

    def __init__(self, step):
        self.step, self.seen = step, 0

    def __call__(self, execute, sql, params, many, context):
        # A transaction of a test that is undone to its last savepoint is the death itself, not a step.
        if not sql.startswith("ROLLBACK"):
            self.seen += 1
        if self.seen == self.step:
            self.seen += 1
            raise Killed
        return execute(sql, params, many, context)
