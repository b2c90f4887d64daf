// SPDX-License-Identifier: MIT
// Tensor parallelism: the vocabulary lies in shards, one on each MPI rank, as in Megatron-LM
// (arXiv 1909.08053). Each rank has the logits of its own classes only; one exchange of three
// numbers a row gives all of them the same loss, and each the gradient of its own columns. Rank 0
// then computes the uncut vocabulary's loss alone, to compare.
//
// Needs MPI (Debian: libopenmpi-dev openmpi-bin); the build leaves it out where there is none.
//
//     ./check
//     mpirun -n 2 build/release/bin/tensor_parallel
//
// (as root: mpirun --allow-run-as-root; by hand: mpicc examples/tensor_parallel.c -I include
// build/release/lib/libtempera.a -lm -pthread -o tensor_parallel)
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <mpi.h>
#include <tempera/tempera.h>

enum { ROWS = 64, VOCABULARY = 50257 };

static const float temperature = 1;

// Any rank can tell the score of any token, as if a model had computed it.
static float score_of(size_t row, size_t class)
{
    uint64_t x = (uint64_t)row * VOCABULARY + class + 1;
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (float)((x ^ (x >> 31)) >> 40) * 0x1p-20f; // from 0 to 16
}

static struct tempera_matrix scores_of(size_t first, size_t n)
{
    float *scores = malloc(ROWS * n * sizeof *scores);
    if (scores == NULL)
        MPI_Abort(MPI_COMM_WORLD, 1);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < n; i++)
            scores[r * n + i] = score_of(r, first + i);
    return tempera_matrix_f32(scores, ROWS, n);
}

// What MPI calls to put two ranks' statistics together.
static void merge(void *in, void *inout, int *count, MPI_Datatype *type)
{
    (void)type;
    tempera_shard_merge(inout, in, (size_t)*count, temperature);
}

static void merge_over_ranks(struct tempera_row_statistics *statistics)
{
    MPI_Datatype type;
    MPI_Op op;
    MPI_Type_contiguous(3, MPI_DOUBLE, &type);
    MPI_Type_commit(&type);
    MPI_Op_create(merge, 1, &op);
    MPI_Allreduce(MPI_IN_PLACE, statistics, ROWS, type, op, MPI_COMM_WORLD);
    MPI_Op_free(&op);
    MPI_Type_free(&type);
}

static double sum_of_squares(const struct tempera_matrix *m)
{
    const float *values = m->data;
    double sum = 0;
    for (size_t i = 0; i < m->rows * m->cols; i++)
        sum += (double)values[i] * (double)values[i];
    return sum;
}

// Loss of the shard's rows; its scores become their gradient.
static double shard_loss(struct tempera_matrix *logits, const int32_t *classes, size_t first)
{
    struct tempera_shard_options options = tempera_shard_options_default();
    options.temperature = temperature;
    options.first_class = first;
    options.n_classes = VOCABULARY;
    struct tempera_row_statistics statistics[ROWS];
    double loss;
    struct tempera_shard_outputs outputs = {
        .struct_size = sizeof outputs, .d_logits = logits, .loss = &loss};
    enum tempera_status status =
        tempera_shard_statistics(logits, classes, &options, statistics, NULL);
    if (status < TEMPERA_INVALID_ARGUMENT) { // rows that only this rank calls bad may be good
        merge_over_ranks(statistics);
        status = tempera_shard_cross_entropy(logits, classes, statistics, &options, &outputs, NULL);
    }
    if (status != TEMPERA_OK) {
        fprintf(stderr, "tensor_parallel: %s\n", tempera_status_text(status));
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    return loss;
}

// The same without shards.
static double whole_loss(struct tempera_matrix *logits, const int32_t *classes)
{
    const struct tempera_targets targets = {.classes = classes};
    double loss = NAN;
    struct tempera_cross_entropy_outputs outputs = {
        .struct_size = sizeof outputs, .d_logits = logits, .loss = &loss};
    tempera_cross_entropy(logits, &targets, NULL, &outputs, NULL);
    return loss;
}

int main(int argc, char **argv)
{
    int rank, n_ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);

    size_t first = VOCABULARY * (size_t)rank / (size_t)n_ranks;
    size_t end = VOCABULARY * ((size_t)rank + 1) / (size_t)n_ranks;
    int32_t classes[ROWS];
    for (int32_t r = 0; r < ROWS; r++)
        classes[r] = r * 7919 % VOCABULARY;

    struct tempera_matrix logits = scores_of(first, end - first);
    double loss = shard_loss(&logits, classes, first), squares = sum_of_squares(&logits), total;
    MPI_Reduce(&squares, &total, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    printf("rank %d of %d: classes %zu to %zu, loss %.12f\n", rank, n_ranks, first, end - 1, loss);
    free(logits.data);

    int failed = 0;
    if (rank == 0) {
        struct tempera_matrix all = scores_of(0, VOCABULARY);
        double alone = whole_loss(&all, classes), norm = sqrt(sum_of_squares(&all));
        printf("uncut: loss %.12f, the shards' is off by %.2g\n"
               "gradient's norm: %.12f in shards, %.12f uncut\n",
               alone, fabs(loss - alone), sqrt(total), norm);
        failed = !(fabs(loss - alone) <= 0x1p-21 && fabs(sqrt(total) - norm) <= 0x1p-20 * norm);
        free(all.data);
    }
    MPI_Finalize();
    return failed;
}
