<?php

declare(strict_types=1);

namespace RrPgpool;

/**
 * What a statement came to since the server started, through both of its doors.
 */
final class TopQuery
{
    private function __construct(
        public readonly string $database,
        /** Its text without constants, comments and layout; cut where it is very long. */
        public readonly string $query,
        public readonly int $calls,
        /** How many of them failed. */
        public readonly int $errors,
        /** Rows returned or changed. */
        public readonly int $rows,
        /** Microseconds: in all calls together, on average, and what 99 of 100 took at most. */
        public readonly int $totalTimeUs,
        public readonly int $meanTimeUs,
        public readonly int $p99TimeUs,
    ) {
    }

    /**
     * @internal
     * @param array<string, mixed> $query one entry of the reply of TopQueries
     */
    public static function fromReply(array $query): self
    {
        return new self(
            (string) $query['database'],
            (string) $query['query'],
            (int) $query['calls'],
            (int) $query['errors'],
            (int) $query['rows'],
            (int) $query['total_time_us'],
            (int) $query['mean_time_us'],
            (int) $query['p99_time_us'],
        );
    }
}
