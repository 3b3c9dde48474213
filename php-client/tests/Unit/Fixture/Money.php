<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit\Fixture;

use Stringable;

final class Money implements Stringable
{
    public function __construct(private readonly string $amount)
    {
    }

    public function __toString(): string
    {
        return "{$this->amount} EUR";
    }
}
