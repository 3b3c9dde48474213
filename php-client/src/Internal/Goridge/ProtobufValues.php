<?php

declare(strict_types=1);

namespace RrPgpool\Internal\Goridge;

use RrPgpool\Internal\Arguments;
use RrPgpool\Protobuf\V1\BatchStatement;
use RrPgpool\Protobuf\V1\Document;
use RrPgpool\Protobuf\V1\PBList;
use RrPgpool\Protobuf\V1\Row;
use RrPgpool\Protobuf\V1\Value;

/**
 * Arguments as messages, and cells from messages.
 *
 * @internal
 */
final class ProtobufValues
{
    /**
     * The fields of a request as the constructor of its message takes them.
     *
     * @param array<string, mixed> $request
     * @return array<string, mixed>
     */
    public static function fields(array $request): array
    {
        if (isset($request['args'])) {
            $request['args'] = array_map(self::message(...), $request['args']);
        }
        if (isset($request['settings'])) {
            $request['settings'] = array_map(self::setting(...), $request['settings']);
        }
        if (isset($request['statements'])) {
            $request['statements'] = array_map(
                static fn (array $statement): BatchStatement => new BatchStatement(self::fields($statement)),
                $request['statements'],
            );
        }

        return $request;
    }

    /**
     * @param iterable<Row> $rows
     * @return list<list<mixed>>
     */
    public static function rows(iterable $rows): array
    {
        $lists = [];
        foreach ($rows as $row) {
            $cells = [];
            foreach ($row->getCells() as $cell) {
                $cells[] = self::value($cell);
            }
            $lists[] = $cells;
        }

        return $lists;
    }

    private static function message(mixed $value): Value
    {
        $message = new Value();

        return match (true) {
            $value === null => $message->setNull(true),
            is_bool($value) => $message->setBool($value),
            is_int($value) => $message->setInt($value),
            is_float($value) => $message->setFloat($value),
            is_string($value) => $message->setText($value),
            is_object($value) => $message->setDocument(self::document((array) $value)),
            array_is_list($value) => $message->setList(
                new PBList(['items' => array_map(self::message(...), $value)]),
            ),
            // What Bytea is in a request, see Arguments.
            array_keys($value) === [Arguments::BINARY] && is_string($value[Arguments::BINARY]) =>
                $message->setBinary((string) base64_decode($value[Arguments::BINARY])),
            default => $message->setDocument(self::document($value)),
        };
    }

    /** @param array<mixed> $fields */
    private static function document(array $fields): Document
    {
        return new Document(['fields' => array_map(self::message(...), $fields)]);
    }

    private static function setting(string|int|float|bool $value): string
    {
        return is_bool($value) ? ($value ? 'on' : 'off') : (string) $value;
    }

    private static function value(Value $cell): mixed
    {
        return match ($cell->getKind()) {
            'text' => $cell->getText(),
            'int' => $cell->getInt(),
            'bool' => $cell->getBool(),
            'float' => $cell->getFloat(),
            'binary' => '\x' . bin2hex($cell->getBinary()),
            // Neither this nor a list or document is what the server sends; null is what is left.
            default => null,
        };
    }
}
