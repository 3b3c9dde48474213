<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * An earlier error has failed the transaction (25P02): all that is left is to roll it back.
 */
final class TransactionFailed extends PgpoolException
{
}
