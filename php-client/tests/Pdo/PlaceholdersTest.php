<?php

declare(strict_types=1);

namespace RrPgpool\Tests\Pdo;

use PHPUnit\Framework\TestCase;
use RrPgpool\Pdo\Internal\MixedPlaceholders;
use RrPgpool\Pdo\Internal\Placeholders;
use RrPgpool\Pdo\Internal\TranslatedSql;
use RrPgpool\Pdo\Internal\TranslationCache;

final class PlaceholdersTest extends TestCase
{
    /** @return iterable<array{string, string, array<array-key, int>|int}> */
    public static function statements(): iterable
    {
        yield ['SELECT 1', 'SELECT 1', 0];
        yield ['SELECT ?', 'SELECT $1', 1];
        yield ['SELECT ?, ?::int, (?)', 'SELECT $1, $2::int, ($3)', 3];
        yield ['SELECT :a, :b, :a', 'SELECT $1, $2, $1', ['a' => 1, 'b' => 2]];
        yield ['SELECT :a::int, b::text', 'SELECT $1::int, b::text', ['a' => 1]];
        yield ['SELECT :1, :2', 'SELECT $1, $2', [1 => 1, 2 => 2]];
        yield ['SELECT $1::int', 'SELECT $1::int', 0];
        yield ['LIMIT ?OFFSET ?', 'LIMIT $1 OFFSET $2', 2];
        yield ['SELECT?', 'SELECT $1', 1];
        yield 'strings' => ["SELECT 'a?b :c', ?", "SELECT 'a?b :c', \$1", 1];
        yield 'doubled quotes' => ["SELECT 'it''s ?', ?", "SELECT 'it''s ?', \$1", 1];
        yield 'backslashes are letters' => ["SELECT '\\', ?, '\\'", "SELECT '\\', \$1, '\\'", 1];
        yield 'escape strings' => ["SELECT E'a\\'?', e'\\\\', ?", "SELECT E'a\\'?', e'\\\\', \$1", 1];
        yield 'an escape string on two lines' => ["SELECT E'a' -- x\n '\\'?', ?", "SELECT E'a' -- x\n '\\'?', \$1", 1];
        yield 'no escape string' => ["SELECT type'\\', ?", "SELECT type'\\', \$1", 1];
        yield 'other strings' => ["SELECT U&'?', B'1', N'?', ?", "SELECT U&'?', B'1', N'?', \$1", 1];
        yield 'not closed' => ["SELECT ?, 'a?", "SELECT \$1, 'a?", 1];
        yield 'identifiers' => ['SELECT "a?"":b", ?', 'SELECT "a?"":b", $1', 1];
        yield 'line comments' => ["SELECT ? -- what?\n, ?", "SELECT \$1 -- what?\n, \$2", 2];
        yield 'comments' => ['SELECT /* ? :a */ ?', 'SELECT /* ? :a */ $1', 1];
        yield 'nested comments' => ['/* /* ? */ ? */ SELECT ?', '/* /* ? */ ? */ SELECT $1', 1];
        yield 'twisted comments' => ['/* /*/ ? */ ? */ SELECT ?', '/* /*/ ? */ ? */ SELECT $1', 1];
        yield 'an open comment' => ['SELECT ? /* ?', 'SELECT $1 /* ?', 1];
        yield 'no comments' => ['SELECT ?-?, ?/?', 'SELECT $1-$2, $3/$4', 4];
        yield 'dollar quotes' => ['SELECT $$?$$, $a$ $$ ? $a$, ?', 'SELECT $$?$$, $a$ $$ ? $a$, $1', 1];
        yield 'no dollar quote' => ['SELECT a$b$, ?, c$b$', 'SELECT a$b$, $1, c$b$', 1];
        yield 'casts' => ["SELECT '1'::int, ?::text[]", "SELECT '1'::int, \$1::text[]", 1];
        yield 'assignment' => ['SELECT f(a := ?, b => ?)', 'SELECT f(a := $1, b => $2)', 2];
        yield 'slices' => ['SELECT a[1:2], a[x:y], a[1:], :n', 'SELECT a[1:2], a[x:y], a[1:], $1', ['n' => 1]];
        yield 'slices of placeholders' => ['SELECT a[:x : :y], a[?:?]', 'SELECT a[$1 : $2], a[?:?]', null];
        yield 'in an array' => ['SELECT ARRAY[:a, :b]', 'SELECT ARRAY[$1, $2]', ['a' => 1, 'b' => 2]];
        yield 'escaped' => ['SELECT j ?? ?', 'SELECT j ? $1', 1];
        yield 'escaped, no placeholder' => ["SELECT j ?? 'a'", "SELECT j ? 'a'", 0];
        yield 'escaped any' => ['SELECT j ??| ?, j ??& ?', 'SELECT j ?| $1, j ?& $2', 2];
        yield 'any, all' => ['SELECT j ?| ?, (j) ?& ?', 'SELECT j ?| $1, (j) ?& $2', 2];
        yield 'any behind a value' => ["SELECT '{}'::jsonb ?| :k", "SELECT '{}'::jsonb ?| \$1", ['k' => 1]];
        yield 'json path' => ["SELECT j @? '$', j @?? :p", "SELECT j @? '$', j @? \$1", ['p' => 1]];
        yield 'concatenation' => ["SELECT x LIKE ?||'%'", "SELECT x LIKE \$1||'%'", 1];
        yield 'bits' => ['SELECT ?|1, ?&1, x = ?|2', 'SELECT $1|1, $2&1, x = $3|2', 3];
        yield 'utf-8' => ['SELECT "größe", größe, ?', 'SELECT "größe", größe, $1', 1];
    }

    /**
     * @dataProvider statements
     * @param array<array-key, int>|int|null $expected names, or how many without names; null: mixed
     */
    public function testTranslates(string $sql, string $translated, array|int|null $expected): void
    {
        if ($expected === null) {
            $this->expectException(MixedPlaceholders::class);
        }
        $result = Placeholders::translate($sql);

        self::assertSame($translated, $result->sql);
        self::assertSame(is_array($expected) ? $expected : [], $result->names);
        self::assertSame(is_array($expected) ? count($expected) : $expected, $result->count);
    }

    public function testStyles(): void
    {
        self::assertSame(TranslatedSql::NONE, Placeholders::translate("SELECT '?'")->style);
        self::assertSame(TranslatedSql::NONE, Placeholders::translate('SELECT a ?? b')->style);
        self::assertSame(TranslatedSql::POSITIONAL, Placeholders::translate('SELECT ?')->style);
        self::assertSame(TranslatedSql::NAMED, Placeholders::translate('SELECT :a')->style);
    }

    public function testRefusesAMixture(): void
    {
        foreach (['SELECT ?, :a', 'SELECT :a, ?'] as $sql) {
            try {
                Placeholders::translate($sql);
                self::fail($sql);
            } catch (MixedPlaceholders) {
                $this->addToAssertionCount(1);
            }
        }
    }

    public function testReadsLongTexts(): void
    {
        $long = str_repeat("it''s /* ? */ \$\$ ", 200_000);
        foreach (["SELECT '{$long}', ?", "SELECT \$x\$ {$long} \$x\$, ?", "/* {$long} */ SELECT ?"] as $sql) {
            self::assertSame(1, Placeholders::translate($sql)->count);
        }
    }

    /** Whatever it is given, the text outside the placeholders stays. */
    public function testKeepsEverythingElse(): void
    {
        $parts = [
            "'", '"', '$', '$a$', '--', "\n", '/*', '*/', 'E', 'a', '[', ']', ':', '::', '\\', ' ', '1', '(', ')',
        ];
        mt_srand(7);
        for ($i = 0; $i < 3000; $i++) {
            $sql = '';
            for ($n = mt_rand(1, 20); $n > 0; $n--) {
                $sql .= $parts[mt_rand(0, count($parts) - 1)];
            }
            $result = Placeholders::translate($sql);
            if ($result->count === 0) {
                self::assertSame($sql, $result->sql);
            } else {
                self::assertSame(TranslatedSql::NAMED, $result->style);
            }
        }
    }

    public function testTheCacheIsBounded(): void
    {
        $cache = new TranslationCache(3);
        $first = $cache->translate('SELECT ?');
        $cache->translate('SELECT ?, 2');
        $cache->translate('SELECT ?, 3');
        self::assertSame($first, $cache->translate('SELECT ?'));
        $cache->translate('SELECT ?, 4');
        self::assertSame($first, $cache->translate('SELECT ?'), 'used last, so it stays');
        foreach ([5, 6, 7] as $number) {
            $cache->translate("SELECT ?, {$number}");
        }
        self::assertNotSame($first, $cache->translate('SELECT ?'));
        $long = 'SELECT ?, ' . str_repeat('x', 20_000);
        self::assertNotSame($cache->translate($long), $cache->translate($long), 'long texts are not kept');
    }
}
