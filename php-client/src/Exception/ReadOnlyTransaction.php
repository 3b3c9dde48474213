<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * A write in a read-only transaction (25006).
 */
final class ReadOnlyTransaction extends PgpoolException
{
}
