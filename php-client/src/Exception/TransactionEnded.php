<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * The transaction or session is over: rolled back by the server after a timeout or with a lost
 * connection, finished before, or never begun (25000, 25P01, 25P03, 25P04). Nothing was executed.
 */
final class TransactionEnded extends PgpoolException
{
}
