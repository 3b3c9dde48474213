<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

use PDO;
use RrPgpool\Bytea;
use RrPgpool\Pdo\PgpoolPdoException;
use ValueError;

/**
 * The values bound to a statement's placeholders, by number from 1.
 *
 * pdo_pgsql sends every value as text and lets PostgreSQL decide what it is, so a value is a string
 * here, too; only bytes go as bytes.
 *
 * @internal
 */
final class BoundParameters
{
    private const INVALID = 'HY093';
    private const UNDEFINED = 'parameter was not defined';
    /** Parts a type from flags such as PDO::PARAM_INPUT_OUTPUT. */
    private const TYPE_MASK = 0xFFFF;

    /** @var array<int, array{value: mixed, type: int, name: string}> */
    private array $bound = [];

    public function __construct(private readonly TranslatedSql $statement)
    {
    }

    public function clear(): void
    {
        $this->bound = [];
    }

    /**
     * Binds a variable; its value is read when the statement is executed.
     *
     * @param int|string $parameter a number from 1, or a name with or without its colon
     * @throws PgpoolPdoException when the statement has no such placeholder
     */
    public function bind(int|string $parameter, mixed &$variable, int $type): void
    {
        $number = $this->number($parameter);
        $name = is_string($parameter) ? ':' . ltrim($parameter, ':') : '';
        $this->bound[$number] = ['value' => &$variable, 'type' => $type & self::TYPE_MASK, 'name' => $name];
    }

    /**
     * Binds the values given to execute(), all of them as strings, instead of those bound before.
     *
     * @param array<array-key, mixed> $values by name, or by position from 0
     * @throws PgpoolPdoException
     */
    public function bindAll(array $values): void
    {
        $this->bound = [];
        foreach ($values as $key => $value) {
            $this->bind(is_int($key) ? $key + 1 : $key, $value, PDO::PARAM_STR);
            // The next round must not change what this one has bound.
            unset($value);
        }
    }

    /**
     * @return list<string|Bytea|null> for $1, $2, …
     * @throws PgpoolPdoException when some are missing
     */
    public function arguments(): array
    {
        $given = count($this->bound);
        $wanted = $this->statement->style === TranslatedSql::NONE ? $given : $this->statement->count;
        $arguments = [];
        for ($number = 1; $number <= $wanted; $number++) {
            if (!isset($this->bound[$number])) {
                throw PgpoolPdoException::refused(
                    '08P01',
                    "bind message supplies {$given} parameters, but prepared statement \"\" requires {$wanted}",
                );
            }
            $arguments[] = self::argument($this->bound[$number]['value'], $this->bound[$number]['type']);
        }

        return $arguments;
    }

    /** What debugDumpParams() prints of them. */
    public function dump(): string
    {
        $text = 'Params:  ' . count($this->bound) . "\n";
        foreach ($this->bound as $number => ['type' => $type, 'name' => $name]) {
            $index = $number - 1;
            $length = strlen($name);
            $text .= ($name === '' ? "Key: Position #{$index}:\n" : "Key: Name: [{$length}] {$name}\n")
                . "paramno={$index}\nname=[{$length}] \"{$name}\"\nis_param=1\nparam_type={$type}\n";
        }

        return $text;
    }

    private function number(int|string $parameter): int
    {
        if (is_string($parameter)) {
            $name = ltrim($parameter, ':');

            return $this->statement->names[$name]
                ?? throw PgpoolPdoException::of(self::INVALID, ":{$name}");
        }
        if ($parameter < 1) {
            throw new ValueError('PDOStatement::bindValue(): Argument #1 ($param) must be greater than or equal to 1');
        }
        if ($this->statement->style !== TranslatedSql::NONE && $parameter > $this->statement->count) {
            throw PgpoolPdoException::of(self::INVALID, self::UNDEFINED);
        }

        return $parameter;
    }

    private static function argument(mixed $value, int $type): string|Bytea|null
    {
        return match (true) {
            $value === null, $type === PDO::PARAM_NULL => null,
            $type === PDO::PARAM_LOB => new Bytea(
                is_resource($value) ? (string) stream_get_contents($value) : (string) $value,
            ),
            $type === PDO::PARAM_BOOL && (is_bool($value) || is_int($value)) => $value ? 't' : 'f',
            $type === PDO::PARAM_INT && is_bool($value) => (string) (int) $value,
            default => (string) $value,
        };
    }
}
