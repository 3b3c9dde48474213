<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * No server connection became free in time, or too many callers wait for one (53300). The statement
 * was not executed; to try again at once adds to the load.
 */
final class PoolExhausted extends PgpoolException
{
}
