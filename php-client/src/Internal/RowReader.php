<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\Column;

use function array_column;
use function array_combine;

/**
 * Turns the rows of a reply into PHP values: bytea, which JSON has to carry as `\x…`, into plain
 * binary strings.
 *
 * @internal
 */
final class RowReader
{
    public const BYTEA = 17;
    public const BYTEA_ARRAY = 1001;

    /** @var list<string> */
    private readonly array $names;
    /** @var list<int> positions of the columns to decode */
    private array $binary = [];

    /** @param list<array{name: string, type: string, oid: int}> $columns */
    public function __construct(private readonly array $columns)
    {
        $this->names = array_column($columns, 'name');
        foreach ($columns as $index => $column) {
            if ($column['oid'] === self::BYTEA || $column['oid'] === self::BYTEA_ARRAY) {
                $this->binary[] = $index;
            }
        }
    }

    /** @return list<Column> */
    public function columns(): array
    {
        return array_map(
            static fn (array $column): Column => new Column($column['name'], $column['type'], $column['oid']),
            $this->columns,
        );
    }

    /**
     * Position of a column, the last of that name.
     *
     * @return int|null null when there is none
     */
    public function position(int|string $column): ?int
    {
        if (is_int($column)) {
            return isset($this->names[$column]) ? $column : null;
        }
        $positions = array_keys($this->names, $column, true);

        return $positions === [] ? null : $positions[count($positions) - 1];
    }

    /**
     * The row as a map; of columns with the same name the last one wins.
     *
     * @param list<mixed> $row
     * @return array<string, mixed>
     */
    public function assoc(array $row): array
    {
        return array_combine($this->names, $this->binary === [] ? $row : $this->values($row));
    }

    /**
     * The rows as maps.
     *
     * @param list<list<mixed>> $rows
     * @return list<array<string, mixed>>
     */
    public function assocAll(array $rows): array
    {
        foreach ($rows as $number => $row) {
            $rows[$number] = array_combine($this->names, $this->binary === [] ? $row : $this->values($row));
        }

        return $rows;
    }

    /**
     * The row as a list.
     *
     * @param list<mixed> $row
     * @return list<mixed>
     */
    public function values(array $row): array
    {
        foreach ($this->binary as $index) {
            $row[$index] = self::bytes($row[$index]);
        }

        return $row;
    }

    private static function bytes(mixed $value): mixed
    {
        if (is_array($value)) {
            return array_map(self::bytes(...), $value);
        }
        if (!is_string($value) || !str_starts_with($value, '\x')) {
            return $value;
        }
        $hex = substr($value, 2);

        return strlen($hex) % 2 === 0 && strspn($hex, '0123456789abcdef') === strlen($hex)
            ? (string) hex2bin($hex)
            : $value;
    }
}
