<?php

declare(strict_types=1);

namespace RrPgpool\Pdo\Internal;

/**
 * Recognises the statements that begin and end a transaction and say nothing else. They have to take
 * the same way as beginTransaction(), commit() and rollBack(), or the two sides would disagree about
 * what is open.
 *
 * @internal
 */
enum TransactionWord
{
    case Begin;
    case Commit;
    case Rollback;

    /** No statement that is longer can be one. */
    private const LONGEST = 64;
    private const PATTERN = '/^\s*(?:(begin|start\s+transaction)|(commit|end)|(rollback|abort))'
        . '(?:\s+(?:work|transaction))?\s*;?\s*$/i';

    public static function of(string $sql): ?self
    {
        if (strlen($sql) > self::LONGEST || preg_match(self::PATTERN, $sql, $found) !== 1) {
            return null;
        }

        return match (count($found)) {
            2 => self::Begin,
            3 => self::Commit,
            default => self::Rollback,
        };
    }
}
