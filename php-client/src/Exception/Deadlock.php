<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * Transactions waited for each other, and this one gave way (40P01). Run the whole transaction again.
 */
final class Deadlock extends PgpoolException
{
}
