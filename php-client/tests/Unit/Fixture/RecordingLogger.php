<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Unit\Fixture;

use Psr\Log\LoggerInterface;
use Psr\Log\LoggerTrait;

final class RecordingLogger implements LoggerInterface
{
    use LoggerTrait;

    /** @var list<array{mixed, string, array<mixed>}> */
    public array $lines = [];

    public function log($level, $message, array $context = []): void
    {
        $this->lines[] = [$level, (string) $message, $context];
    }
}
