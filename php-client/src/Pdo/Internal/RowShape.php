<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

use Closure;
use PDO;
use RrPgpool\Pdo\PgpoolPdoException;
use ValueError;

/**
 * Makes one row, a list of values, into what a fetch mode wants it to be.
 *
 * @internal
 */
final class RowShape
{
    private const GENERAL = 'HY000';

    /**
     * @param list<string> $names of the columns
     * @param int $first the number of the first of them in the result
     * @return Closure(list<mixed>): mixed
     * @throws PgpoolPdoException when the mode lacks what setFetchMode() would have given
     */
    public static function of(FetchMode $mode, array $names, int $first = 0): Closure
    {
        return match ($mode->mode) {
            PDO::FETCH_NUM => static fn (array $row): array => $row,
            PDO::FETCH_ASSOC => static fn (array $row): array => array_combine($names, $row),
            PDO::FETCH_OBJ => static fn (array $row): object => (object) array_combine($names, $row),
            PDO::FETCH_BOTH => static fn (array $row): array => self::both($names, $row, $first),
            PDO::FETCH_NAMED => static fn (array $row): array => self::named($names, $row),
            PDO::FETCH_BOUND => static fn (array $row): bool => true,
            PDO::FETCH_COLUMN => self::column($mode->arguments[0] ?? 0, count($names)),
            PDO::FETCH_KEY_PAIR => self::pair($names),
            PDO::FETCH_CLASS => self::object($mode, $names),
            PDO::FETCH_INTO => self::into($mode->arguments[0] ?? null, $names),
            PDO::FETCH_FUNC => static fn (array $row): mixed => Weakly::call($mode->arguments[0], $row),
        };
    }

    /** A value as a key of an array, as PDO has it. */
    public static function key(mixed $value): string
    {
        return is_resource($value) ? (string) stream_get_contents($value) : (string) $value;
    }

    /**
     * @param list<string> $names
     * @param list<mixed> $row
     * @return array<array-key, mixed>
     */
    private static function both(array $names, array $row, int $first): array
    {
        $both = [];
        foreach ($names as $i => $name) {
            $both[$name] = $row[$i];
            // A column that is named like a number has that place already.
            $both += [$first + $i => $row[$i]];
        }

        return $both;
    }

    /**
     * @param list<string> $names
     * @param list<mixed> $row
     * @return array<array-key, mixed> columns with one name as a list
     */
    private static function named(array $names, array $row): array
    {
        $named = [];
        $times = array_count_values($names);
        foreach ($names as $i => $name) {
            if ($times[$name] > 1) {
                $named[$name][] = $row[$i];
            } else {
                $named[$name] = $row[$i];
            }
        }

        return $named;
    }

    private static function column(int $column, int $count): Closure
    {
        if ($column >= $count) {
            throw new ValueError('Invalid column index');
        }

        return static fn (array $row): mixed => $row[$column];
    }

    /** @param list<string> $names */
    private static function pair(array $names): Closure
    {
        if (count($names) !== 2) {
            throw PgpoolPdoException::of(self::GENERAL, 'PDO::FETCH_KEY_PAIR fetch mode requires the '
                . 'result set to contain exactly 2 columns.');
        }

        return static fn (array $row): array => [self::key($row[0]) => $row[1]];
    }

    /** @param list<string> $names */
    private static function object(FetchMode $mode, array $names): Closure
    {
        if ($mode->flags & PDO::FETCH_CLASSTYPE) {
            $names = array_slice($names, 1);

            return static function (array $row) use ($mode, $names): object {
                $class = self::key(array_shift($row));

                return self::hydrate(class_exists($class) ? $class : 'stdClass', [], $mode, $names, $row);
            };
        }
        $class = $mode->arguments[0] ?? null;
        if ($class === null) {
            throw PgpoolPdoException::of(self::GENERAL, 'No fetch class specified');
        }
        $arguments = $mode->arguments[1] ?? [];

        return static fn (array $row): object => self::hydrate($class, $arguments, $mode, $names, $row);
    }

    /**
     * @param class-string $class
     * @param array<array-key, mixed> $arguments of the constructor
     * @param list<string> $names
     * @param list<mixed> $row
     */
    private static function hydrate(
        string $class,
        array $arguments,
        FetchMode $mode,
        array $names,
        array $row,
    ): object {
        $object = Weakly::instantiate($class);
        if ($mode->flags & PDO::FETCH_PROPS_LATE) {
            Weakly::construct($object, $arguments);
            Weakly::hydrate($object, $names, $row);
        } else {
            Weakly::hydrate($object, $names, $row);
            Weakly::construct($object, $arguments);
        }

        return $object;
    }

    /** @param list<string> $names */
    private static function into(?object $object, array $names): Closure
    {
        if ($object === null) {
            throw PgpoolPdoException::of(self::GENERAL, 'No fetch-into object specified.');
        }

        return static function (array $row) use ($object, $names): object {
            Weakly::assign($object, $names, $row);

            return $object;
        };
    }
}
