<?php

declare(strict_types=1);

namespace RrPgpool\Internal\Goridge;

use Closure;

/**
 * json and arrays, from what PostgreSQL prints to the values that the JSON codec has. Types are told by
 * their oid, since a name may be that of a user's own type in another schema.
 *
 * @internal
 */
final class NativeText
{
    /** The server's own limit for documents as nested values. */
    private const DEPTH = 512;
    private const DOCUMENTS = [114 => true, 3802 => true];
    private const DOCUMENT_ARRAYS = [199 => true, 3807 => true];
    private const INTEGER_ARRAYS = [1005 => true, 1007 => true, 1016 => true, 1028 => true];
    private const FLOAT_ARRAYS = [1021 => true, 1022 => true];
    private const BOOL_ARRAY = 1000;
    /** The only type whose array has another delimiter, so that points stay whole. */
    private const BOX_ARRAY = 1020;
    /** A pseudo-type, which stays text in every codec. */
    private const RECORD_ARRAY = 2287;

    /** Whether it is json, jsonb or an array of them. */
    public static function isDocument(int $oid): bool
    {
        return isset(self::DOCUMENTS[$oid]) || isset(self::DOCUMENT_ARRAYS[$oid]);
    }

    /** @return (Closure(mixed): mixed)|null null for a type that stays as it is */
    public static function reader(int $oid, string $type): ?Closure
    {
        if (isset(self::DOCUMENTS[$oid])) {
            return self::json(...);
        }
        // Only arrays have such names; a type of the user's own that does as well prints no array.
        if (!str_starts_with($type, '_') || $oid === self::RECORD_ARRAY) {
            return null;
        }
        $element = self::element($oid);
        $delimiter = $oid === self::BOX_ARRAY ? ';' : ',';

        return static fn (mixed $text): mixed =>
            is_string($text) ? (new ArrayText($text, $delimiter, $element))->toList() ?? $text : $text;
    }

    /** @return Closure(string): mixed what makes the value of an element of this array type */
    private static function element(int $oid): Closure
    {
        return match (true) {
            isset(self::INTEGER_ARRAYS[$oid]) => static fn (string $text): int => (int) $text,
            isset(self::FLOAT_ARRAYS[$oid]) => static fn (string $text): float|string =>
                is_numeric($text) ? (float) $text : $text,
            $oid === self::BOOL_ARRAY => static fn (string $text): bool => $text === 't',
            isset(self::DOCUMENT_ARRAYS[$oid]) => self::json(...),
            default => static fn (string $text): string => $text,
        };
    }

    private static function json(mixed $text): mixed
    {
        if (!is_string($text)) {
            return $text;
        }
        $value = json_decode($text, true, self::DEPTH, JSON_BIGINT_AS_STRING);

        return $value === null && json_last_error() !== JSON_ERROR_NONE ? $text : $value;
    }
}
