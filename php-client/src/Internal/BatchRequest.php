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
    /**
     * @param list<array{0: string, 1: array<mixed>}> $statements
     * @return array<string, mixed>
     * @throws InvalidArgument naming the statement and its parameter
     */
    public static function of(array $statements, bool $atomic, ?ExecuteOptions $options): array
    {
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
