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
use function array_key_exists;
use function count;
use function is_bool;
use function is_int;
use function is_string;
use function json_encode;
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
    /** The key by which a request marks binary data: a map that has this one alone. */
    public const BINARY = '$bytea';
    private const DOCUMENT = JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION | JSON_UNESCAPED_SLASHES
        | JSON_UNESCAPED_UNICODE;

    /** Somebody's own map looks like the mark. */
    private bool $ambiguous = false;

    /** @param string $parameter its name for messages */
    private function __construct(private readonly string $parameter)
    {
    }

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
                $args[$index] = (new self('$' . ($index + 1)))->converted($value);
            }
        }

        return $args;
    }

    /** A document that could be mistaken for binary data is sent as its text, which json and jsonb take as well. */
    private function converted(mixed $value): mixed
    {
        $converted = $this->value($value, 0);

        return $this->ambiguous ? json_encode($converted, self::DOCUMENT) : $converted;
    }

    private function value(mixed $value, int $depth): mixed
    {
        return match (true) {
            is_int($value), is_bool($value), $value === null => $value,
            is_string($value) => $this->text($value),
            is_float($value) => self::float($value),
            is_array($value) => $this->elements($value, $depth),
            is_object($value) => $this->object($value, $depth),
            default => throw $this->unusable('cannot use ' . get_debug_type($value)),
        };
    }

    private function object(object $value, int $depth): mixed
    {
        return match (true) {
            $value instanceof Bytea => [self::BINARY => base64_encode($value->bytes)],
            $value instanceof BackedEnum => $value->value,
            $value instanceof DateTimeInterface => $value->format(self::DATE_FORMAT),
            // Before Stringable: a collection that is both is a list, not the text of one.
            $value instanceof JsonSerializable => $this->serializable($value, $depth),
            $value instanceof Stringable => $this->text((string) $value),
            $value instanceof stdClass => $this->map((array) $value, $depth),
            default => throw $this->unusable('cannot use an object of ' . get_debug_type($value)),
        };
    }

    private function serializable(JsonSerializable $value, int $depth): mixed
    {
        $plain = $value->jsonSerialize();
        if ($plain === $value) {
            throw $this->unusable(get_debug_type($value) . '::jsonSerialize() returns the object itself');
        }

        return $this->value($plain, $this->deeper($depth));
    }

    /**
     * @param array<mixed> $values
     * @return array<mixed>
     */
    private function elements(array $values, int $depth): array
    {
        $depth = $this->deeper($depth);
        if (count($values) === 1 && array_key_exists(self::BINARY, $values)) {
            $this->ambiguous = true;
        }
        foreach ($values as $key => $value) {
            if (is_string($key)) {
                $this->text($key);
            }
            $values[$key] = $this->value($value, $depth);
        }

        return $values;
    }

    /**
     * An object only where an array would become a list: MessagePack adds a key of its own to objects.
     *
     * @param array<mixed> $values
     * @return array<mixed>|object
     */
    private function map(array $values, int $depth): array|object
    {
        $elements = $this->elements($values, $depth);

        return array_is_list($elements) ? (object) $elements : $elements;
    }

    private function deeper(int $depth): int
    {
        if ($depth >= self::MAX_DEPTH) {
            throw $this->unusable('is nested deeper than ' . self::MAX_DEPTH . ' levels');
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

    private function text(string $value): string
    {
        if (preg_match('//u', $value) !== 1) {
            throw $this->unusable('the string is not valid UTF-8; wrap binary data in RrPgpool\Bytea');
        }

        return $value;
    }

    private function unusable(string $reason): InvalidArgument
    {
        return new InvalidArgument("parameter {$this->parameter}: {$reason}", '22023');
    }
}
