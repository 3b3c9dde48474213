<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

/**
 * The reply to a statement, read from the first row to the last.
 *
 * @internal
 */
final class ResultSet
{
    /** @var list<list<mixed>> as they came; each is converted when it is read */
    private array $rows;
    private int $next = 0;
    private readonly int $count;

    /**
     * @param list<array<string, mixed>> $columns
     * @param list<string> $names of the columns
     * @param list<list<mixed>> $rows
     */
    private function __construct(
        public readonly array $columns,
        public readonly array $names,
        array $rows,
        private readonly Values $values,
        int $affected,
    ) {
        $this->rows = $rows;
        $this->count = $columns === [] ? $affected : count($rows);
    }

    /** @param array<string, mixed> $reply of Execute */
    public static function of(array $reply, Attributes $attributes): self
    {
        $columns = $reply['columns'] ?? [];

        return new self(
            $columns,
            $attributes->names($columns),
            $columns === [] ? [] : $reply['rows'] ?? [],
            $attributes->converter($columns),
            (int) ($reply['rows_affected'] ?? 0),
        );
    }

    /** Rows of the result, or those that the statement changed. */
    public function count(): int
    {
        return $this->count;
    }

    /** @return list<mixed>|null the next row, null behind the last */
    public function next(): ?array
    {
        if (!isset($this->rows[$this->next])) {
            return null;
        }

        return $this->values->convert($this->rows[$this->next++]);
    }

    /** Forgets the rows that were not read. */
    public function close(): void
    {
        $this->rows = [];
    }
}
