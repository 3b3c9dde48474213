<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

/**
 * What to do instead: the server says it with the names of its RPC methods and fields, a PHP program has to
 * read it with those of its own objects. The one place that knows both; whatever is not in here stays as the
 * server says it.
 *
 * @internal
 */
final class Remedies
{
    /** The server's words; those of Client; those of PgpoolPdo. No words of Client may be there twice. */
    private const TABLE = [
        [
            'begin one with SessionBegin, or a transaction with TransactionBegin',
            'use $client->session(...) or $client->transaction(...)',
            'use $pdo->openSession() or $pdo->beginTransaction()',
        ],
        [
            'begin one with SessionBegin, or leave it to Execute, which prepares by itself',
            'use $client->session(...), or leave it to $client->execute(), which prepares by itself',
            'use $pdo->openSession(), or $pdo->prepare()',
        ],
        [
            'begin one with SessionBegin, or use pg_advisory_xact_lock after TransactionBegin',
            'use $client->session(...), or pg_advisory_xact_lock in $client->transaction(...)',
            'use $pdo->openSession(), or pg_advisory_xact_lock after $pdo->beginTransaction()',
        ],
        [
            'use INSERT ... RETURNING, or begin one with SessionBegin or TransactionBegin',
            'use INSERT ... RETURNING, $client->session(...) or $client->transaction(...)',
            'use INSERT ... RETURNING, $pdo->openSession() or $pdo->beginTransaction()',
        ],
        ['begin one with SessionBegin', 'use $client->session(...)', 'use $pdo->openSession()'],
        ['begin one with TransactionBegin', 'use $client->transaction(...)', 'use $pdo->beginTransaction()'],
        [
            'use "settings" of Execute or SessionBegin',
            'use $client->withSettings(...), or the settings of $client->session(...)',
            'use the settings of PgpoolPdo::connect(), or $pdo->openSession()',
        ],
        [
            'settings last for one Execute; for longer ones use SessionBegin',
            'those of $client->withSettings(...) need none; for others use $client->session(...)',
            'the settings of PgpoolPdo::connect() need none; for others use $pdo->openSession()',
        ],
        [
            'use "settings" of Execute, or begin one with TransactionBegin',
            'use $client->withSettings(...) or $client->transaction(...)',
            'use the settings of PgpoolPdo::connect(), or $pdo->beginTransaction()',
        ],
        [
            'give isolation_level, read_only or deferrable to TransactionBegin',
            'give isolation, readOnly or deferrable to TransactionOptions',
            'send it first after $pdo->beginTransaction(), or give isolation to PgpoolPdo',
        ],
        [
            'begin with TransactionBegin and send its tx_id with every statement (or SessionBegin and session_id)',
            'use $client->transaction(...), or $client->session(...) around all of it',
            'use $pdo->beginTransaction(), or $pdo->openSession() before all of it',
        ],
        [
            'Begin with TransactionBegin and send its tx_id with every statement',
            'Use $client->transaction(...)',
            'Use $pdo->beginTransaction()',
        ],
        [
            'it belongs to one transaction; give it to TransactionBegin',
            'it belongs to one transaction; give it to TransactionOptions',
            'it belongs to one transaction; use SET TRANSACTION there, or give isolation to PgpoolPdo',
        ],
        [
            'set atomic, or send it within a transaction (TransactionBegin and tx_id)',
            'use runAtomic(), or $client->transaction(...) around it',
            'use $pdo->beginTransaction()',
        ],
        [
            'begin one, or leave session_id out',
            'use $client->transaction(...) around it',
            'use $pdo->beginTransaction()',
        ],
        [
            'the statement returns no rows; use Execute',
            'the statement returns no rows; use $client->execute()',
            'the statement returns no rows; use $pdo->exec()',
        ],
        [
            'a cursor is for a query (SELECT, VALUES, or what has RETURNING); use Execute',
            'a stream is for a query (SELECT, VALUES, or what has RETURNING); use $client->execute()',
            'a cursor is for a query (SELECT, VALUES, or what has RETURNING); use $pdo->exec()',
        ],
        [
            'send them one by one, or with "simple": true and no arguments',
            'send them one by one, or with $client->batch()',
            'send them one by one, or with $pdo->exec()',
        ],
        [
            'Fetch less at a time',
            'Fetch less at a time, as $client->stream() does with a chunk that is small enough',
            'Fetch less at a time, with LIMIT or a cursor in a transaction',
        ],
    ];

    /** A message of the server in the words of Client. */
    public static function forClient(string $message): string
    {
        return strtr($message, array_column(self::TABLE, 1, 0));
    }

    /** A message in the words of Client in those of PgpoolPdo. */
    public static function forPdo(string $message): string
    {
        return strtr($message, array_column(self::TABLE, 2, 1));
    }
}
