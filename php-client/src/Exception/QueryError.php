<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * The statement is wrong: a missing table, a wrong type, no permission (class 42).
 */
class QueryError extends PgpoolException
{
}
