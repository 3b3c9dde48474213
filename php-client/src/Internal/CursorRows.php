<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use Generator;
use RrPgpool\ExecuteOptions;

/**
 * Iterates over a cursor, a piece at a time.
 *
 * @internal
 */
final class CursorRows
{
    /**
     * @param list<mixed> $args
     * @param int $chunk rows fetched at a time
     * @return Generator<int, array<string, mixed>>
     */
    public static function of(
        Executor $executor,
        string $sql,
        array $args,
        ?ExecuteOptions $options,
        int $chunk,
    ): Generator {
        $opened = $executor->cursorOpen($sql, $args, $options);
        $cursor = (string) $opened['cursor_id'];
        $reader = new RowReader($opened['columns'] ?? []);
        try {
            do {
                $piece = $executor->cursorFetch($cursor, $chunk, $options);
                foreach ($piece['rows'] as $row) {
                    yield $reader->assoc($row);
                }
            } while (($piece['done'] ?? false) !== true);
        } finally {
            $executor->cursorClose($cursor);
        }
    }
}
