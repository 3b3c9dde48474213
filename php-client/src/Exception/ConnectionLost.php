<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * There is no connection, and the statement was not executed (class 08 and 57P01 to 57P03). Outside
 * a transaction it is safe to try it again.
 */
final class ConnectionLost extends PgpoolException
{
}
