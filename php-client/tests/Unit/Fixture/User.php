<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit\Fixture;

use DateTimeImmutable;
use RrPgpool\IsolationLevel;

final class User
{
    public string $note = 'none';

    public function __construct(
        public readonly int $id,
        public readonly DateTimeImmutable $createdAt,
        public readonly ?IsolationLevel $level = null,
    ) {
    }
}
