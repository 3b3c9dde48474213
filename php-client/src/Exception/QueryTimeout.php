<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * The statement took longer than its timeout, or was cancelled (57014). It had no effect.
 */
final class QueryTimeout extends PgpoolException
{
}
