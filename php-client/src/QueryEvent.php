<?php

declare(strict_types=1);

namespace RrPgpool;

use Throwable;

/**
 * One statement that was sent, and what became of it.
 */
final class QueryEvent
{
    /**
     * @param string $sql the statement; the statements of a batch are joined by "; "
     * @param float $durationMs milliseconds until the reply, as this process saw them
     * @param int $rows rows returned, or affected where none are returned
     * @param Throwable|null $exception why it failed; null when it did not
     * @param array<mixed>|null $arguments the values, for an ArgumentObserver only
     */
    public function __construct(
        public readonly string $sql,
        public readonly string $database,
        public readonly float $durationMs,
        public readonly int $rows,
        public readonly ?Throwable $exception = null,
        public readonly ?array $arguments = null,
    ) {
    }
}
