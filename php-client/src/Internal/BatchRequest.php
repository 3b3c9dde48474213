<?php

declare(strict_types=1);

namespace RrPgpool\Internal;

use RrPgpool\Exception\InvalidArgument;
use RrPgpool\ExecuteOptions;

/**
 * The fields of ExecuteBatch.
 *
 * @internal
 */
final class BatchRequest
{
    /** The server's own limit. */
    private const MOST = 1000;

    /**
     * @param list<array{0: string, 1: array<mixed>}> $statements
     * @return array<string, mixed>
     * @throws InvalidArgument naming the statement and its parameter, or when there are too many
     */
    public static function of(array $statements, bool $atomic, ?ExecuteOptions $options): array
    {
        if (count($statements) > self::MOST) {
            throw new InvalidArgument('a batch has at most ' . self::MOST . ' statements', '54000');
        }
        $list = [];
        foreach ($statements as $index => [$query, $args]) {
            try {
                $list[] = $args === []
                    ? ['query' => $query]
                    : ['query' => $query, 'args' => Arguments::convert($args)];
            } catch (InvalidArgument $error) {
                $number = $index + 1;
                throw new InvalidArgument("statement {$number}, {$error->getMessage()}", '22023', [], $query, $error);
            }
        }
        $request = ['statements' => $list, 'result' => 'rows'];
        if ($atomic) {
            $request['atomic'] = true;
        }

        return $options === null ? $request : $request + $options->toRequest();
    }
}
