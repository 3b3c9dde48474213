<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * A value is out of range or malformed (class 22).
 */
final class DataError extends PgpoolException
{
}
