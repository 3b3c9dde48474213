<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

use PDO;

/**
 * From the values of a reply, with types "text", to those that pdo_pgsql gives.
 *
 * @internal
 */
final class Values
{
    private const BYTEA = 17;
    private const FLOAT4 = 700;
    private const FLOAT8 = 701;
    /** pdo_pgsql gives floating point numbers as strings before this version of PHP. */
    private const FLOATS_SINCE = 80400;
    private const NO_NUMBERS = ['NaN' => NAN, 'Infinity' => INF, '-Infinity' => -INF];

    /** @var array<int, int> OIDs by column, of those that need work */
    private array $special = [];

    /** @param list<array<string, mixed>> $columns of the reply */
    public function __construct(
        array $columns,
        private readonly bool $stringify = false,
        private readonly int $nulls = PDO::NULL_NATURAL,
    ) {
        $floats = $stringify || PHP_VERSION_ID < self::FLOATS_SINCE ? [self::FLOAT4, self::FLOAT8] : [];
        foreach ($columns as $i => $column) {
            if (in_array($column['oid'], [self::BYTEA, ...$floats], true)) {
                $this->special[$i] = $column['oid'];
            } elseif (in_array($column['oid'], [self::FLOAT4, self::FLOAT8], true)) {
                $this->special[$i] = 0;
            }
        }
    }

    /** The bytes of a bytea value of a reply. */
    public static function bytes(string $text): string
    {
        return str_starts_with($text, '\x') ? (string) hex2bin(substr($text, 2)) : $text;
    }

    /**
     * @param list<mixed> $row
     * @return list<mixed>
     */
    public function convert(array $row): array
    {
        foreach ($this->special as $i => $oid) {
            if ($row[$i] !== null) {
                $row[$i] = $this->special($row[$i], $oid);
            }
        }
        if ($this->stringify || $this->nulls !== PDO::NULL_NATURAL) {
            $row = array_map($this->adapt(...), $row);
        }

        return $row;
    }

    private function special(mixed $value, int $oid): mixed
    {
        return match ($oid) {
            self::BYTEA => $this->stringify ? self::bytes($value) : self::stream(self::bytes($value)),
            self::FLOAT4 => is_string($value) ? $value : FloatText::of((float) $value, FloatText::FLOAT4),
            self::FLOAT8 => is_string($value) ? $value : FloatText::of((float) $value, FloatText::FLOAT8),
            default => self::number($value),
        };
    }

    /** NaN and the infinities come as text. */
    private static function number(mixed $value): float
    {
        return is_string($value) ? self::NO_NUMBERS[$value] : (float) $value;
    }

    /** PDO's attributes STRINGIFY_FETCHES and ORACLE_NULLS. */
    private function adapt(mixed $value): mixed
    {
        if ($this->stringify && (is_int($value) || is_bool($value))) {
            $value = (string) (int) $value;
        }

        return match (true) {
            $value === null && $this->nulls === PDO::NULL_TO_STRING => '',
            $value === '' && $this->nulls === PDO::NULL_EMPTY_STRING => null,
            default => $value,
        };
    }

    /** @return resource */
    private static function stream(string $bytes)
    {
        $stream = fopen('php://memory', 'r+b');
        fwrite($stream, $bytes);
        rewind($stream);

        return $stream;
    }
}
