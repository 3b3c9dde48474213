<?php

declare(strict_types=1);

namespace RrPgpool\Transport;

use Throwable;

/**
 * A failure that takes the connection along.
 *
 * @internal
 */
final class FakeLoss
{
    public function __construct(public readonly Throwable $error)
    {
    }
}
