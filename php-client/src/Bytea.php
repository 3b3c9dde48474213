<?php

declare(strict_types=1);

namespace RrPgpool;

/**
 * A binary string as an argument. (Results need no wrapper: bytea comes back as a plain string.)
 */
final class Bytea
{
    public function __construct(public readonly string $bytes)
    {
    }
}
