<?php

declare(strict_types=1);

namespace RrPgpool\Internal\Goridge;

use Closure;
use RrPgpool\ExecuteOptions;

/**
 * Changes the cells of replies by their columns. A piece of a cursor has none of its own, so the
 * columns of open cursors are kept; none where a request asks for text, since text stays as it is.
 *
 * @internal
 */
final class ColumnMemory
{
    /** @var array<string, list<array<string, mixed>>> by cursor */
    private array $cursors = [];

    /** @param Closure(int, string): (null|Closure(mixed): mixed) $change for the oid and name of a type */
    public function __construct(private readonly Closure $change)
    {
    }

    /**
     * @param array<string, mixed> $request
     * @param array<string, mixed> $reply
     * @return array<string, mixed>
     */
    public function apply(array $request, array $reply): array
    {
        $text = ($request['types'] ?? ExecuteOptions::NATIVE) === ExecuteOptions::TEXT;
        if (isset($reply['cursor_id'])) {
            $this->cursors[$reply['cursor_id']] = $text ? [] : $reply['columns'] ?? [];
        }
        if ($text) {
            return $reply;
        }
        foreach ($reply['results'] ?? [] as $number => $result) {
            $reply['results'][$number] = $this->changed($result, $result['columns'] ?? []);
        }
        $cursor = $request['cursor_id'] ?? null;
        $columns = $reply['columns'] ?? $this->cursors[$cursor ?? ''] ?? [];
        if ($cursor !== null && ($reply['done'] ?? true) === true) {
            unset($this->cursors[$cursor]);
        }

        return $this->changed($reply, $columns);
    }

    /**
     * @param array<string, mixed> $reply
     * @param list<array<string, mixed>> $columns
     * @return array<string, mixed>
     */
    private function changed(array $reply, array $columns): array
    {
        foreach (isset($reply['rows']) ? $columns : [] as $index => $column) {
            $change = ($this->change)($column['oid'], $column['type']);
            if ($change === null) {
                continue;
            }
            foreach ($reply['rows'] as $number => $row) {
                $reply['rows'][$number][$index] = $change($row[$index]);
            }
        }

        return $reply;
    }
}
