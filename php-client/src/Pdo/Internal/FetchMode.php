<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

use ArgumentCountError;
use PDO;
use TypeError;
use ValueError;

/**
 * A fetch mode of PDO, taken apart and checked: PDO::FETCH_CLASS | PDO::FETCH_GROUP, 'Name', [1].
 *
 * @internal
 */
final class FetchMode
{
    private const FLAGS = PDO::FETCH_GROUP | PDO::FETCH_UNIQUE | PDO::FETCH_CLASSTYPE
        | PDO::FETCH_SERIALIZE | PDO::FETCH_PROPS_LATE;
    private const LAST = PDO::FETCH_KEY_PAIR;
    /** How many arguments may follow a mode; none where it is not named. */
    private const ARGUMENTS = [
        PDO::FETCH_COLUMN => [1, 1],
        PDO::FETCH_CLASS => [1, 2],
        PDO::FETCH_INTO => [1, 1],
    ];

    /** @param array<int, mixed> $arguments what follows the mode in PDO's methods */
    private function __construct(
        public readonly int $mode,
        public readonly int $flags,
        public readonly array $arguments = [],
    ) {
    }

    /** The mode of fetch(). Without arguments of its own it takes those of setFetchMode(). */
    public static function forRow(int $mode, self $default): self
    {
        $parsed = self::parse($mode, 'PDOStatement::fetch(): Argument #1 ($mode)', $default);
        if ($parsed->mode === PDO::FETCH_FUNC) {
            throw new ValueError('Can only use PDO::FETCH_FUNC in PDOStatement::fetchAll()');
        }

        return $parsed->mode === $default->mode
            ? new self($parsed->mode, $parsed->flags, $default->arguments)
            : $parsed;
    }

    /** @param array<int, mixed> $arguments those of setFetchMode() or query() */
    public static function forStatement(int $mode, array $arguments, string $function, int $position): self
    {
        $parsed = self::parse($mode, "{$function}(): Argument #{$position} (\$mode)", null);
        [$least, $most] = $parsed->flags & PDO::FETCH_CLASSTYPE ? [0, 0] : self::ARGUMENTS[$parsed->mode] ?? [0, 0];
        $count = count($arguments);
        if ($count < $least || $count > $most) {
            $bound = $least === $most ? 'exactly' : ($count < $least ? 'at least' : 'at most');
            throw new ArgumentCountError(sprintf(
                '%s() expects %s %d arguments for the fetch mode provided, %d given',
                $function,
                $bound,
                $position + ($count < $least ? $least : $most),
                $position + $count,
            ));
        }
        self::check($parsed->mode, $arguments, $function, $position + 1);

        return new self($parsed->mode, $parsed->flags, $arguments);
    }

    /** @param array<int, mixed> $arguments those of fetchAll() */
    public static function forAll(int $mode, array $arguments, self $default): self
    {
        $function = 'PDOStatement::fetchAll';
        $parsed = self::parse($mode, "{$function}(): Argument #1 (\$mode)", $default);
        if ($parsed->mode === PDO::FETCH_FUNC && count($arguments) !== 1) {
            $given = count($arguments) + 1;
            throw new ArgumentCountError(
                "{$function}() expects exactly 2 argument for PDO::FETCH_FUNC, {$given} given",
            );
        }
        if ($arguments === [] && $parsed->mode === $default->mode) {
            $arguments = $default->arguments;
        }
        if ($arguments === [] && $parsed->mode === PDO::FETCH_CLASS) {
            $arguments = ['stdClass'];
        }
        self::check($parsed->mode, $arguments, $function, 2);

        return new self($parsed->mode, $parsed->flags, $arguments);
    }

    public static function plain(int $mode): self
    {
        return self::parse($mode, 'The fetch mode', null);
    }

    private static function parse(int $mode, string $what, ?self $default): self
    {
        $flags = $mode & self::FLAGS;
        $base = $mode & ~self::FLAGS;
        if ($base === 0) {
            // Flags alone: of the default mode.
            $base = $default?->mode ?? PDO::FETCH_BOTH;
        }
        if ($base < 0 || $base > self::LAST) {
            throw new ValueError("{$what} must be a bitmask of PDO::FETCH_* constants");
        }
        if ($base === PDO::FETCH_LAZY || $flags & PDO::FETCH_SERIALIZE) {
            $name = $base === PDO::FETCH_LAZY ? 'PDO::FETCH_LAZY' : 'PDO::FETCH_SERIALIZE';
            throw new ValueError("{$what} cannot be {$name}: it is not available with rr-pgpool");
        }

        return new self($base, $flags);
    }

    /** @param array<int, mixed> $arguments */
    private static function check(int $mode, array $arguments, string $function, int $position): void
    {
        if ($arguments === []) {
            return;
        }
        $expected = match (true) {
            $mode === PDO::FETCH_COLUMN && !is_int($arguments[0]) => 'of type int',
            $mode === PDO::FETCH_COLUMN && $arguments[0] < 0 => 'greater than or equal to 0',
            $mode === PDO::FETCH_INTO && !is_object($arguments[0]) => 'of type object',
            $mode === PDO::FETCH_CLASS && !is_string($arguments[0] ?? '') => 'of type string',
            $mode === PDO::FETCH_CLASS && !class_exists($arguments[0] ?? 'stdClass') => 'a valid class',
            $mode === PDO::FETCH_CLASS && !is_array($arguments[1] ?? []) => 'of type ?array',
            $mode === PDO::FETCH_FUNC && !is_callable($arguments[0]) => 'a valid callback',
            default => null,
        };
        if ($expected === null) {
            return;
        }
        $position += $expected === 'of type ?array' ? 1 : 0;
        $text = "{$function}(): Argument #{$position} must be {$expected}";
        throw str_starts_with($expected, 'greater') ? new ValueError($text) : new TypeError($text);
    }
}
