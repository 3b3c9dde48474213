<?php

declare(strict_types=1);

namespace RrPgpool\Drivers;

/** An error of the server's, whichever driver has received it. */
final class SqlError extends \RuntimeException
{
    public function __construct(public readonly string $sqlstate, string $message)
    {
        parent::__construct("{$sqlstate} {$message}");
    }
}
