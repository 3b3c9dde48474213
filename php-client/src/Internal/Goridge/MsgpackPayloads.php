<?php

declare(strict_types=1);

namespace RrPgpool\Internal\Goridge;

use Closure;
use RrPgpool\Internal\RowReader;

/**
 * MessagePack has bytea as it is, which could be mistaken for the text that JSON has; and ext-msgpack
 * makes an object of an empty map.
 *
 * @internal
 */
final class MsgpackPayloads implements Payloads
{
    private readonly ColumnMemory $columns;

    public function __construct()
    {
        $this->columns = new ColumnMemory(self::reader(...));
    }

    public function request(string $method, array $request): mixed
    {
        return $request;
    }

    public function options(string $method): mixed
    {
        return null;
    }

    public function reply(array $request, mixed $reply): ?array
    {
        return is_array($reply) ? $this->columns->apply($request, $reply) : null;
    }

    /** @return (Closure(mixed): mixed)|null null for a type that stays as it is */
    private static function reader(int $oid): ?Closure
    {
        return match ($oid) {
            RowReader::BYTEA, RowReader::BYTEA_ARRAY => self::hex(...),
            default => NativeText::isDocument($oid) ? self::arrays(...) : null,
        };
    }

    private static function hex(mixed $value): mixed
    {
        return match (true) {
            is_string($value) => '\x' . bin2hex($value),
            is_array($value) => array_map(self::hex(...), $value),
            default => $value,
        };
    }

    private static function arrays(mixed $value): mixed
    {
        return is_array($value) || is_object($value) ? array_map(self::arrays(...), (array) $value) : $value;
    }
}
