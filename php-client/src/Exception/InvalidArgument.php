<?php

declare(strict_types=1);

namespace RrPgpool\Exception;

/**
 * The caller asked for something impossible, and nothing was sent (22023).
 */
final class InvalidArgument extends PgpoolException
{
}
