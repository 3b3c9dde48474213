<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use BackedEnum;
use DateTimeInterface;
use JsonSerializable;
use RrPgpool\Bytea;
use RrPgpool\Exception\InvalidArgument;
use stdClass;
use Stringable;

use function array_is_list;
use function is_bool;
use function is_int;
use function is_string;
use function preg_match;

/**
 * From PHP values to what the RPC API takes.
 *
 * @internal
 */
final class Arguments
{
    /** With microseconds and the offset, so that PostgreSQL's TimeZone does not matter. */
    private const DATE_FORMAT = 'Y-m-d H:i:s.uP';
    /** Deeper than any sensible document; an array that contains itself ends here. */
    private const MAX_DEPTH = 500;

    /**
     * @param array<mixed> $args
     * @return list<mixed>
     * @throws InvalidArgument naming the parameter
     */
    public static function convert(array $args): array
    {
        if (!array_is_list($args)) {
            throw new InvalidArgument('arguments are a list, in the order of $1, $2, …', '22023');
        }
        foreach ($args as $index => $value) {
            if (is_int($value) || is_bool($value) || $value === null) {
                continue;
            }
            if (!is_string($value) || preg_match('//u', $value) !== 1) {
                $args[$index] = self::value($value, '$' . ($index + 1), 0);
            }
        }

        return $args;
    }

    private static function value(mixed $value, string $parameter, int $depth): mixed
    {
        return match (true) {
            is_int($value), is_bool($value), $value === null => $value,
            is_string($value) => self::text($value, $parameter),
            is_float($value) => self::float($value),
            is_array($value) => self::elements($value, $parameter, $depth),
            is_object($value) => self::object($value, $parameter, $depth),
            default => throw self::unusable($parameter, 'cannot use ' . get_debug_type($value)),
        };
    }

    private static function object(object $value, string $parameter, int $depth): mixed
    {
        return match (true) {
            $value instanceof Bytea => ['$bytea' => base64_encode($value->bytes)],
            $value instanceof BackedEnum => $value->value,
            $value instanceof DateTimeInterface => $value->format(self::DATE_FORMAT),
            // Before Stringable: a collection that is both is a list, not the text of one.
            $value instanceof JsonSerializable => self::serializable($value, $parameter, $depth),
            $value instanceof Stringable => self::text((string) $value, $parameter),
            $value instanceof stdClass => self::map((array) $value, $parameter, $depth),
            default => throw self::unusable($parameter, 'cannot use an object of ' . get_debug_type($value)),
        };
    }

    private static function serializable(JsonSerializable $value, string $parameter, int $depth): mixed
    {
        $plain = $value->jsonSerialize();
        if ($plain === $value) {
            throw self::unusable($parameter, get_debug_type($value) . '::jsonSerialize() returns the object itself');
        }

        return self::value($plain, $parameter, self::deeper($depth, $parameter));
    }

    /**
     * @param array<mixed> $values
     * @return array<mixed>
     */
    private static function elements(array $values, string $parameter, int $depth): array
    {
        $depth = self::deeper($depth, $parameter);
        foreach ($values as $key => $value) {
            if (is_string($key)) {
                self::text($key, $parameter);
            }
            $values[$key] = self::value($value, $parameter, $depth);
        }

        return $values;
    }

    /**
     * An object only where an array would become a list: MessagePack adds a key of its own to objects.
     *
     * @param array<mixed> $values
     * @return array<mixed>|object
     */
    private static function map(array $values, string $parameter, int $depth): array|object
    {
        $elements = self::elements($values, $parameter, $depth);

        return array_is_list($elements) ? (object) $elements : $elements;
    }

    private static function deeper(int $depth, string $parameter): int
    {
        if ($depth >= self::MAX_DEPTH) {
            throw self::unusable($parameter, 'is nested deeper than ' . self::MAX_DEPTH . ' levels');
        }

        return $depth + 1;
    }

    /** JSON has no word for these three; PostgreSQL reads them as text. */
    private static function float(float $value): float|string
    {
        return match (true) {
            is_nan($value) => 'NaN',
            $value === INF => 'Infinity',
            $value === -INF => '-Infinity',
            default => $value,
        };
    }

    private static function text(string $value, string $parameter): string
    {
        if (preg_match('//u', $value) !== 1) {
            throw self::unusable($parameter, 'the string is not valid UTF-8; wrap binary data in RrPgpool\Bytea');
        }

        return $value;
    }

    private static function unusable(string $parameter, string $reason): InvalidArgument
    {
        return new InvalidArgument("parameter {$parameter}: {$reason}", '22023');
    }
}
