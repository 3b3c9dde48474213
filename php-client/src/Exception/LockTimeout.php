<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * A lock was not to be had at once or within lock_timeout (55P03).
 */
final class LockTimeout extends PgpoolException
{
}
