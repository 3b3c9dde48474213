<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\Exception\OutcomeUnknown;

/**
 * What a reply must have. One without it comes from a server that is none of ours, and must not be taken
 * for an answer: without a tx_id, a statement would run by itself.
 *
 * @internal
 */
final class Reply
{
    /**
     * @param array<string, mixed> $reply
     * @throws OutcomeUnknown when it has no such id
     */
    public static function id(array $reply, string $field): string
    {
        $id = $reply[$field] ?? null;

        return is_string($id) && $id !== '' ? $id : throw Frame::unreadable("the reply has no {$field}");
    }

    /**
     * @param array<string, mixed> $reply of ExecuteBatch
     * @param int $count statements that were sent
     * @return list<array<string, mixed>>
     * @throws OutcomeUnknown when it has another number of results
     */
    public static function results(array $reply, int $count): array
    {
        $results = $reply['results'] ?? null;

        return is_array($results) && count($results) === $count
            ? $results
            : throw Frame::unreadable("the reply has no {$count} results");
    }
}
